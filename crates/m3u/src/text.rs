//! Bytes of a line to text, whatever they are encoded in.
