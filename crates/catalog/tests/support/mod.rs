//! CPython as the oracle: a script, JSON in, JSON out.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

/// Runs `script`, which finds its question as JSON on standard input and prints the answer as JSON. `None`, with a
/// message, where there is no python3 and nobody insists.
pub(crate) fn python(script: &str, question: &Value) -> Option<Value> {
    let spawned = Command::new("python3")
        .args(["-W", "ignore", "-c", script])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if std::env::var_os("MAINSTEM_REQUIRE_TOOLS").is_none() => {
            #[expect(clippy::print_stderr, reason = "whoever reads the test's output should know")]
            {
                eprintln!("skipped, not compared with Python: {error}");
            }
            return None;
        }
        Err(error) => panic!("python3 is required: {error}"),
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(question.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
