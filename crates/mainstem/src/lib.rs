//! Parts of the mainstem binary.

pub mod config;
