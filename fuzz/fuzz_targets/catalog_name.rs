//! Any name, and any pattern with any template on it: no panic, and a name has a key.
#![no_main]

use catalog::{Pattern, Template, name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, pattern, template) = input;
    let parsed = name::parse(text);
    assert_eq!(parsed.key.is_empty(), text.trim().is_empty());
    name::is_separator(text);
    if let Ok(pattern) = Pattern::compile(pattern)
        && let Ok(template) = Template::parse(template, Some(&pattern))
    {
        // A search that is given up is an answer, too.
        _ = pattern.replace_all(text, &template);
    }
});
