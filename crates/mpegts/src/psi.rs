//! Programme specific information: sections, PAT and PMT (2.4.4).
