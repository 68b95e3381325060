//! A provider that misbehaves on command.
