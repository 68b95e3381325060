//! Where state is kept.

use std::path::{Path, PathBuf};

use super::{Config, reader::Env};

/// The folder for state: `MAINSTEM_DATA_DIR`, else the key `data_dir`, else `$STATE_DIRECTORY` (set by systemd for a
/// unit), else `$XDG_STATE_HOME/mainstem`, else `~/.local/state/mainstem`. `None` where none of them is there: then
/// nothing is kept. Whether it can be written is not looked at.
pub fn resolve(config: &Config, env: Env<'_>) -> Option<PathBuf> {
    let variable = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable("MAINSTEM_DATA_DIR") {
        return Some(folder.into());
    }
    if let Some(folder) = &config.data_dir {
        return Some(folder.clone());
    }
    // systemd.exec(5): several folders are joined by colons.
    if let Some(folder) = variable("STATE_DIRECTORY").and_then(|all| Some(all.split(':').next()?.to_owned()))
    {
        return Some(folder.into());
    }
    // XDG Base Directory Specification: a relative path is to be ignored.
    let state = variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| Path::new(&home).join(".local/state"));
    state.or_else(home).map(|state| state.join("mainstem"))
}
