//! Mangled files: no panic, no secret in any message, places that exist.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::path::Path;

use mainstem::config::{PROBLEMS_MAX, parse};

const CANARY: &str = "hunter22";

/// Marsaglia's xorshift64: the same mutations on every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).unwrap()
    }
}

fn mutate(text: &str, random: &mut Random) -> String {
    const PIECES: [&str; 24] = [
        "\n",
        "  ",
        "\t",
        ":",
        ": ",
        "- ",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "&a ",
        "*a",
        "<<: *a",
        "|\n",
        "!t ",
        "${",
        "---\n",
        "\u{feff}",
        "\u{1f4fa}",
        "\r\n",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.next(4) {
        let at = random.next(bytes.len());
        match random.next(4) {
            0 => {
                let end = (at + random.next(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            1 => {
                let piece = PIECES[random.next(PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
            2 => {
                let end = (at + random.next(60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.next(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => bytes[at] = b' ' + u8::try_from(random.next(95)).unwrap(),
        }
        if bytes.is_empty() {
            bytes.push(b'a');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the canary in a printed line stands where no secret belongs: a mutation moved it there.
fn is_misplaced(line: &str) -> bool {
    const HARMLESS: [&str; 11] = [
        "name",
        "type",
        "live",
        "refresh_interval",
        "include_name_patterns",
        "enabled",
        "bind_port",
        "linger",
        "PORT",
        "x-",
        "unknown key",
    ];
    line.match_indices(CANARY).all(|(at, _)| {
        let before = &line[..at];
        let is_key = line[at + CANARY.len()..]
            .trim_start_matches(|c| !matches!(c, ':' | ',' | '}'))
            .starts_with(':');
        let key = before.rsplit_once([':', '`']).map_or(before, |(key, _)| key);
        is_key
            || before.contains(", found `")
            || HARMLESS
                .iter()
                .any(|name| key.trim_end_matches([' ', '"', '\'']).ends_with(name))
    })
}

#[test]
fn no_mutation_panics_or_leaks() {
    let yaml = format!(
        "# comment\nsources:\n  - name: one\n    type: xtream\n    url: \"http://user:{CANARY}@host:80/path/{CANARY}\"\n    \
         username: '{CANARY}'\n    password: {CANARY}\n    headers:\n      Cookie: \"a={CANARY}\"\n    refresh_interval: 4h\n  \
         - {{name: two, type: m3u, url: http://h/{CANARY}, password: \"{CANARY}\", live: no}}\nfilters:\n  include_name_patterns: ['^a(b|c)', \"HD\"]\n\
         xtream_auth: {{enabled: true, username: \"{CANARY}\", password: '{CANARY}'}}\nbind_port: ${{PORT:-8080}}\ntiming:\n  linger: 5s\n"
    );
    let json = format!(
        "{{\"sources\": [{{\"name\": \"\\ud83d\\udcfa\", \"type\": \"xtream\", \"url\": \"http://h/{CANARY}\",\r\n\t\"username\": \"{CANARY}\", \
         \"password\": \"{CANARY}\"}}],\r\n \"bind_port\": 80, \"xtream_auth\": {{\"password\": \"{CANARY}\"}}}}\r\n"
    );
    let env = |name: &str| (name == "PORT").then(|| "80".to_owned());
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut valid, mut invalid) = (0, 0);
    for round in 0..6_000 {
        let text = mutate(if round % 2 == 0 { &yaml } else { &json }, &mut random);
        let (problems, message) = match parse(&text, Path::new("c.yaml"), &env) {
            Ok(loaded) => {
                valid += 1;
                assert!(loaded.config.max_total_connections > 0);
                let message: String = loaded
                    .warnings
                    .iter()
                    .map(|warning| format!("{warning}\n"))
                    .collect();
                (loaded.warnings, message)
            }
            Err(problems) => {
                invalid += 1;
                let message = problems.to_string();
                (problems.problems, message)
            }
        };
        assert!(problems.len() <= PROBLEMS_MAX);
        let lines = text.split(['\n', '\r']).count();
        assert!(
            problems.iter().all(|problem| problem.line <= lines),
            "{text}\n{message}"
        );
        for line in message.lines().filter(|line| line.contains(CANARY)) {
            assert!(is_misplaced(line), "{text}\n{message}");
        }
    }
    assert!(valid > 100 && invalid > 1_000, "{valid} valid, {invalid} invalid");
}
