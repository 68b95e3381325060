//! Own slate clips are read and judged with the configuration, in the place where they are named.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::path::Path;

use mainstem::config::{Severity, check::check, exit, parse};
use mpegts::Codec;
use mpegts::slate::{CLIP_BYTES_MAX, Message};

const HEVC: &[u8] = include_bytes!("../../provider-double/clips/f.ts");
const RADIO: &[u8] = include_bytes!("../../provider-double/clips/h.ts");

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    put("own.ts", HEVC);
    put("radio.ts", RADIO);
    put("page.ts", b"<html>not found</html>");
    put("cut.ts", &HEVC[..188 * 3]);
    let large = std::fs::File::create(folder.path().join("large.ts")).unwrap();
    large.set_len(CLIP_BYTES_MAX as u64 + 1).unwrap();
    folder
}

fn with(key: &str, path: &str) -> String {
    format!("sources:\n  - name: card\n    type: testcard\nslate:\n  {key}: {path}\n")
}

#[test]
fn an_own_clip_is_found_beside_the_file_and_by_its_full_path() {
    let folder = folder();
    let absolute = folder.path().join("own.ts").display().to_string();
    for path in ["own.ts", "./own.ts", &absolute] {
        let file = folder.path().join("config.yaml");
        let loaded = parse(&with("limit", path), &file, &|_| None).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let slates = loaded.config.slates;
        let pictures = |codec, message| slates.clip(codec, message).unwrap().pictures();
        assert_eq!(pictures(Codec::Hevc, Message::Limit), 200);
        assert_eq!(pictures(Codec::H264, Message::Limit), 96, "the built-in one");
        assert_eq!(pictures(Codec::Hevc, Message::Offline), 96, "the built-in one");
    }
}

#[test]
fn a_clip_that_cannot_be_shown_is_a_problem_in_its_place() {
    let folder = folder();
    let file = folder.path().join("config.yaml");
    for (key, path, words) in [
        ("offline", "nowhere.ts", "cannot be read"),
        ("offline", ".", "cannot be read"),
        ("offline", "page.ts", "not an MPEG transport stream"),
        ("limit", "radio.ts", "no H.264, HEVC or MPEG-2 pictures"),
        ("limit", "cut.ts", "no keyframe"),
        ("expired", "large.ts", "larger than 64 MiB"),
    ] {
        let problems = parse(&with(key, path), &file, &|_| None).unwrap_err();
        let [problem] = problems.problems.as_slice() else {
            panic!("{problems}")
        };
        assert_eq!(problem.severity, Severity::Error);
        assert_eq!((problem.line, problem.column), (5, 5 + key.len()), "{problems}");
        assert!(problem.message.contains(words), "{problems}");
        assert!(problem.message.contains(path), "{problems}");
    }
}

#[test]
fn check_judges_clips_too() {
    let folder = folder();
    let file = folder.path().join("config.yaml");
    let judged = |text: &str| {
        std::fs::write(&file, text).unwrap();
        check(Path::new(&file), &|_| None)
    };
    assert_eq!(judged(&with("offline", "own.ts")).exit_code, exit::OK);
    let report = judged(&with("offline", "page.ts"));
    assert_eq!(report.exit_code, exit::CONFIG_INVALID);
    assert!(
        report.text.contains("config.yaml:5:12: error: "),
        "{}",
        report.text
    );
}
