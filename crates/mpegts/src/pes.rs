//! PES packets: the header and its time stamps (2.4.3.6).
