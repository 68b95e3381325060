//! Exit codes of the program.

/// All went well.
pub const OK: u8 = 0;
/// Anything that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// The configuration has errors.
pub const CONFIG_INVALID: u8 = 3;
/// The configuration file cannot be read, or is missing and cannot be written.
pub const CONFIG_UNREADABLE: u8 = 4;
/// Another program listens at the address.
pub const ADDRESS_IN_USE: u8 = 5;
