//! From a file to a [`Config`], or to everything that is wrong with it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    channels::{Candidate, CandidateKeys},
    mask::Mask,
    problem::{Problem, Problems},
    reader::{Env, Finding, Reader, Severity},
    section::Setting,
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
    let (config, warnings) = read(text, path, env, |keys: Keys, reader| {
        let config = keys.build(reader);
        let is_valid = !reader.has_errors();
        if is_valid && !config.sources.iter().any(|source| source.enabled) {
            reader.warning(Span::default(), "no source is enabled: the playlist is empty");
        }
        config
    })?;
    Ok(Loaded { config, warnings })
}

/// What rules that are to be tried are called in messages.
const CANDIDATE: &str = "rules";

/// Reads rules that are to be tried: the keys `channels` and `filters`, YAML or JSON. Whoever sends them is not the
/// operator: variables are not put in, and no file is read.
///
/// # Errors
/// Everything that is wrong with them.
pub fn parse_candidate(text: &str) -> Result<Candidate, Problems> {
    read(text, Path::new(CANDIDATE), &|_| None, CandidateKeys::build).map(|(candidate, _)| candidate)
}

/// Reads `text` as a section and makes a value of it; with the warnings.
fn read<K: Setting, T>(
    text: &str,
    path: &Path,
    env: Env<'_>,
    build: impl FnOnce(K, &mut Reader<'_>) -> T,
) -> Result<(T, Vec<Problem>), Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = &*tree::join_surrogates(text);
    let shape = K::shape();
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
    let value = K::read(&root, None, &mut reader).map(|keys| build(keys, &mut reader));
    let is_valid = !reader.has_errors();
    let mut findings = reader.findings;
    findings.sort_by_key(|finding| finding.at);
    let mask = Mask::new(&root, &shape);
    let problems = findings
        .into_iter()
        .map(|finding| Problem::new(finding, text, &mask))
        .collect();
    match value {
        Some(value) if is_valid => Ok((value, problems)),
        _ => Err(Problems {
            path: path.to_owned(),
            problems,
        }),
    }
}
