//! Parts of the mainstem binary.
