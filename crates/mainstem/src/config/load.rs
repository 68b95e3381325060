//! From a file to a [`Config`], or to everything that is wrong with it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    mask::Mask,
    problem::{Problem, Problems},
    reader::{Env, Finding, Reader, Severity},
    section::Setting as _,
    settings::{Config, Keys},
    tree::{self, Span},
};

/// Bytes a configuration file may have.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

/// A configuration and what is odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Valid.
    pub config: Config,
    /// In the file's order; each prints with its line. Their severity is always [`Severity::Warning`].
    pub warnings: Vec<Problem>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is not there and cannot be written.
    #[error("{}: there is no such file, and it cannot be written: {error}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file cannot be used.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Reads the configuration file at `path`, YAML or JSON.
///
/// Variables come from `env`; relative paths in the file start at its folder.
///
/// # Errors
/// A file that cannot be read, is larger than [`FILE_BYTES_MAX`], or has problems: then all of them.
pub fn load(path: &Path, env: Env<'_>) -> Result<Loaded, LoadError> {
    let unreadable = |error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        let message = format!("larger than {FILE_BYTES_MAX} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(parse(&text, path, env)?),
        Err(error) => {
            let before = error
                .as_bytes()
                .get(..error.utf8_error().valid_up_to())
                .unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            let message = format!("line {line} is not UTF-8 text");
            Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, message)))
        }
    }
}

/// Reads a configuration from `text`; `path` is where it stands, or would stand.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, path: &Path, env: Env<'_>) -> Result<Loaded, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = &*tree::join_surrogates(text);
    let shape = Keys::shape();
    let root = match tree::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let message = error.message + tree::advice(text, error.at);
            let finding = Finding {
                severity: Severity::Error,
                at: error.at,
                message,
            };
            let problem = Problem::new(finding, text, &Mask::unknown(&shape));
            return Err(Problems {
                path: path.to_owned(),
                problems: vec![problem],
            });
        }
    };
    let mut reader = Reader::new(env, path.parent().unwrap_or(Path::new("")));
    let config = Keys::read(&root, None, &mut reader).map(|keys| keys.build(&mut reader));
    let is_valid = !reader
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    let is_empty = config
        .as_ref()
        .is_some_and(|config| !config.sources.iter().any(|source| source.enabled));
    if is_valid && is_empty {
        reader.warning(Span::default(), "no source is enabled: the playlist is empty");
    }
    let mut findings = reader.findings;
    findings.sort_by_key(|finding| finding.at);
    let mask = Mask::new(&root, &shape);
    let problems = findings
        .into_iter()
        .map(|finding| Problem::new(finding, text, &mask))
        .collect();
    match config {
        Some(config) if is_valid => Ok(Loaded {
            config,
            warnings: problems,
        }),
        _ => Err(Problems {
            path: path.to_owned(),
            problems,
        }),
    }
}
