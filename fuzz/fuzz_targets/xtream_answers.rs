//! Any bytes as any answer, and as an address: no panic, and what is handed out is counted and usable.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let mut count = 0;
    let summary = xtream::live_streams(body, |stream| {
        assert!(!stream.stream_id.is_empty());
        count += 1;
    });
    assert_eq!(summary.unwrap_or_else(|error| error.summary).records, count);
    drop(xtream::vod_streams(body, drop));
    drop(xtream::series(body, drop));
    drop(xtream::categories(body, drop));
    drop(xtream::account(body));
    drop(xtream::series_info(body));
    if let Ok(text) = std::str::from_utf8(body) {
        if let Some(changed) = xtream::url::with_login(text, "other", "word") {
            let found = xtream::credentials_in(&changed);
            assert_eq!(found.map(|login| login.username).as_deref(), Some("other"));
        }
        let url = xtream::url::live("http://h", text, "p", "1", "ts");
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
    }
});
