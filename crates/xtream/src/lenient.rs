//! JSON values of any type to the type a field should have. Nothing here fails.
