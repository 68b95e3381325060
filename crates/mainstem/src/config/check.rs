//! `mainstem check`: says everything about a file, starts nothing.

use std::{fmt::Write as _, path::Path};

use super::{LoadError, exit, load, problem::write_at, reader::Env};

/// What is to be printed, and the program's exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Ends with a line break. Holds no secret.
    pub text: String,
    /// One of [`exit`]'s.
    pub exit_code: u8,
}

/// Checks the file at `path`. A missing file is not written.
pub fn check(path: &Path, env: Env<'_>) -> Report {
    match load(path, env) {
        Ok(loaded) => {
            let mut text = String::new();
            for warning in &loaded.warnings {
                // Writing to a String cannot fail.
                _ = write_at(&mut text, path, warning);
                text.push('\n');
            }
            let enabled = loaded
                .config
                .sources
                .iter()
                .filter(|source| source.enabled)
                .count();
            _ = writeln!(
                text,
                "{}: ok, {enabled} of {} sources enabled",
                path.display(),
                loaded.config.sources.len()
            );
            Report {
                text,
                exit_code: exit::OK,
            }
        }
        Err(error) => Report {
            text: format!("{error}\n"),
            exit_code: error.exit_code(),
        },
    }
}

impl LoadError {
    /// The exit code it ends the program with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } | Self::Unwritable { .. } => exit::CONFIG_UNREADABLE,
            Self::Invalid(_) => exit::CONFIG_INVALID,
        }
    }
}
