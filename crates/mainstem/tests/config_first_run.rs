//! The first start, and `check`.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]
#![cfg(unix)]

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use mainstem::config::{
    LoadError, Origin,
    check::check,
    exit,
    first_run::{Choice, FIRST_CONFIG, Outcome, SCHEMA_FILE, load_or_write, write_default},
    schema,
};

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mainstem-first-run-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn no_env(_: &str) -> Option<String> {
    None
}

#[test]
fn a_newcomer_gets_a_file_with_a_channel() {
    let folder = Folder::new("newcomer");
    let path = folder.0.join("sub/config.yaml");
    let Outcome::Written(loaded) = load_or_write(&path, Choice::Default, &no_env).unwrap() else {
        panic!("the file is written");
    };
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let enabled: Vec<_> = loaded
        .config
        .sources
        .iter()
        .filter(|source| source.enabled)
        .collect();
    assert_eq!(enabled.len(), 1);
    assert_eq!(enabled[0].origin, Origin::Testcard);
    let kinds =
        |wanted: fn(&Origin) -> bool| loaded.config.sources.iter().any(|source| wanted(&source.origin));
    assert!(kinds(|origin| matches!(origin, Origin::Xtream { .. })));
    assert!(kinds(|origin| matches!(origin, Origin::M3uUrl(_))));

    assert_eq!(fs::read_to_string(&path).unwrap(), FIRST_CONFIG);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(path.with_file_name(SCHEMA_FILE)).unwrap();
    assert_eq!(written, schema::text());
    assert!(
        FIRST_CONFIG.contains(&format!("$schema={SCHEMA_FILE}")),
        "editors are pointed to the schema"
    );
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        2,
        "no draft is left behind"
    );

    let again = load_or_write(&path, Choice::Default, &no_env).unwrap();
    assert_eq!(again, Outcome::Loaded(loaded));
}

#[test]
fn what_is_there_is_not_replaced() {
    let folder = Folder::new("replace");
    let path = folder.0.join("config.yaml");
    fs::write(&path, "bind_port: 1").unwrap();
    assert_eq!(
        write_default(&path).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "bind_port: 1");
}

#[test]
fn where_nothing_can_be_written_the_default_runs_from_memory() {
    // Not even root creates folders there.
    let path = Path::new("/proc/mainstem/config.yaml");
    match load_or_write(path, Choice::Default, &no_env).unwrap() {
        Outcome::FromMemory(loaded, warning) => {
            assert!(loaded.config.sources.iter().any(|source| source.enabled));
            assert!(warning.contains("/proc/mainstem/config.yaml"), "{warning}");
        }
        other => panic!("{other:?}"),
    }
    let error = load_or_write(path, Choice::Explicit, &no_env).unwrap_err();
    assert!(matches!(error, LoadError::Unwritable { .. }), "{error}");
    assert_eq!(error.exit_code(), exit::CONFIG_UNREADABLE);
}

#[test]
fn check_reports_and_starts_nothing() {
    let folder = Folder::new("check");
    let path = folder.0.join("config.yaml");
    let report = check(&path, &no_env);
    assert_eq!(report.exit_code, exit::CONFIG_UNREADABLE);
    assert!(!path.exists(), "check writes nothing");

    fs::write(&path, "bind_prot: 1\nlog_level: loud\n").unwrap();
    let report = check(&path, &no_env);
    assert_eq!(report.exit_code, exit::CONFIG_INVALID);
    let lines: Vec<_> = report
        .text
        .lines()
        .filter(|line| line.contains(": error: "))
        .collect();
    assert_eq!(lines.len(), 2, "{}", report.text);
    assert!(
        lines[0].starts_with(&format!("{}:1:1: ", path.display())),
        "{}",
        report.text
    );

    fs::write(&path, b"bind_host: a\nlog_level: \xff\n").unwrap();
    let report = check(&path, &no_env);
    assert_eq!(report.exit_code, exit::CONFIG_UNREADABLE);
    assert!(report.text.contains("line 2"), "{}", report.text);

    fs::write(&path, "sources: [{name: a, type: testcard, url: x}]\n").unwrap();
    let report = check(&path, &no_env);
    assert_eq!(report.exit_code, exit::OK);
    assert!(
        report
            .text
            .contains("warning: a testcard source makes no use of `url`"),
        "{}",
        report.text
    );
    assert!(report.text.contains("ok, 1 of 1"), "{}", report.text);
    assert!(report.text.ends_with('\n'));
}
