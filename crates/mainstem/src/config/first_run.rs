//! What happens where there is no configuration file: one is written, and the server starts with it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{LoadError, Loaded, load, parse, reader::Env, schema};

/// The configuration a newcomer gets.
pub const FIRST_CONFIG: &str = include_str!("first_config.yaml");

/// Name of the schema written beside the configuration, where [`FIRST_CONFIG`] points editors to.
pub const SCHEMA_FILE: &str = "config.schema.json";

/// Where a configuration came from.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The file was there.
    Loaded(Loaded),
    /// The file was not there and is now.
    Written(Loaded),
    /// The file is not there and could not be written: [`FIRST_CONFIG`] from memory, and a warning that says so.
    FromMemory(Loaded, String),
}

impl Outcome {
    /// The configuration, wherever it came from.
    pub fn into_loaded(self) -> Loaded {
        match self {
            Self::Loaded(loaded) | Self::Written(loaded) | Self::FromMemory(loaded, _) => loaded,
        }
    }
}

/// Whether the operator named the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// `-c` or its variable did: running on something else would hide a mistake.
    Explicit,
    /// It is the place the program looks at by itself.
    Default,
}

/// Reads the configuration at `path`; where there is none, writes [`FIRST_CONFIG`] there and takes that.
///
/// # Errors
/// See [`load`]; and a missing file that cannot be written, if `choice` is [`Choice::Explicit`].
pub fn load_or_write(path: &Path, choice: Choice, env: Env<'_>) -> Result<Outcome, LoadError> {
    match load(path, env) {
        Ok(loaded) => return Ok(Outcome::Loaded(loaded)),
        Err(LoadError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match write_default(path) {
        Ok(()) => Ok(Outcome::Written(load(path, env)?)),
        // Another instance was quicker: its file counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Outcome::Loaded(load(path, env)?)),
        Err(error) if choice == Choice::Explicit => Err(LoadError::Unwritable {
            path: path.to_owned(),
            error,
        }),
        Err(error) => {
            let warning = format!(
                "{}: there is no such file, and it cannot be written ({error}); running on the built-in configuration",
                path.display()
            );
            Ok(Outcome::FromMemory(parse(FIRST_CONFIG, path, env)?, warning))
        }
    }
}

/// Writes [`FIRST_CONFIG`] to `path`, readable by its owner only: passwords will be put into it. It appears whole or
/// not at all, and replaces nothing. The schema is put beside it if that can be done.
///
/// # Errors
/// `AlreadyExists` where there is something at `path`; else why it cannot be written.
pub fn write_default(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    write_new(path, FIRST_CONFIG)?;
    // Editors do without it.
    _ = write_new(&folder.join(SCHEMA_FILE), &schema::text());
    Ok(())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let draft = draft_path(path);
    let result = write_draft(&draft, text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => {
            // A file system without hard links.
            fs::rename(&draft, path)
        }
        result => result,
    });
    // Gone already after a rename.
    _ = fs::remove_file(&draft);
    result
}

fn draft_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
