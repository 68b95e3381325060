//! Patterns mean what CPython's `re` says they mean: every probe is asked of both.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod support;

use catalog::{
    ChannelRules, Filters, Listing, Memory, Pattern, SourceRules,
    listing::Fields,
    preview::preview,
    rules::{Rule, Then, When},
};
use serde_json::{Value, json};

/// Per pattern: null for "does not compile", with the place, or whether `search` finds it in each text.
const SCRIPT: &str = r#"
import json, re, sys
question = json.load(sys.stdin)
def ask(pattern):
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except (re.error, OverflowError) as e:
        pos = getattr(e, "pos", None)
        return {"error": str(e), "offset": None if pos is None else len(pattern[:pos].encode())}
    return {"found": [compiled.search(text) is not None for text in question["texts"]]}
json.dump([ask(p) for p in question["patterns"]], sys.stdout)
"#;

/// Names as providers write them, and texts on which the dialects differ. Without the empty one: whether `\B` is in
/// it changed in Python 3.14.
const TEXTS: &[&str] = &[
    "\n",
    "CNN HD",
    "cnn hd\n",
    "CNN HD\n\n",
    "UK: Sky Sports Main Event FHD",
    "UK|SKY SPORTS 1 UHD",
    "US| ESPN 4K",
    "[DE] Das Erste",
    "DE - Das Erste HD (backup)",
    "ESPN HD⁶⁰",
    "ESPN ᴴᴰ ᴿᴬᵂ",
    "HD\u{301}",
    "ⒽHD",
    "HD\u{203f}x",
    "HD\u{200d}x",
    "SİNEMA TV",
    "sınema tv",
    "sinema TV",
    "TRT ÇOCUK",
    "trt çocuk",
    "ΣΑΣ ςας",
    "straſse",
    "\u{212a}anal 5",
    "ГТРК РОССИЯ 24",
    "россия-24",
    "ＣＣＴＶ１",
    "中央电视台 CCTV-1",
    "العربية",
    "٣ channel",
    "a\u{1c}b",
    "a\u{85}b",
    "a\u{a0}b",
    "a&&b",
    "a--b",
    "a~~b",
    "a||b",
    "x^y",
    "{,}",
    "x{2,1",
    "XX",
    "xxx adult",
    "xxxx",
    "Test Channel",
    "abcabc",
    "ABcabC",
    "11 22 33",
    "a1",
    "1a",
    "line one\nHD line two",
    "one\ntwo\n",
    "#### UK ####",
    "http://example.com:8080/live/user/pass/123.ts?token=a.b",
    "tab\there",
    "back\\slash",
    "\u{7}\u{8}\u{c}\u{b}",
    "😀 HD",
    "🇬🇧 BBC One",
    "ǅ dz",
    "ß SS ẞ",
    "-_]",
    "[[HD",
];

const PATTERNS: &[&str] = &[
    // What operators write.
    "HD",
    ".*HD.*",
    ".*FHD.*",
    ".*test.*",
    ".*XXX.*",
    ".*adult.*",
    "",
    "^$",
    "^UK",
    "HD$",
    r"HD\Z",
    r"\bHD\b",
    r"\BHD\B",
    r"\bHD",
    r"HD\b",
    r"^(UK|US|IE)[:|\s].*\b(FHD|UHD|4K|HD)\b",
    r"^(?!.*\b(SD|backup)\b).*HD.*",
    r"(?<!U)(?<!F)HD",
    r"^(?=.*sport)(?=.*hd).*$",
    r"^\[DE\]",
    r"^[[(]DE",
    "#{2,}",
    r"\d{2}",
    r"\.ts(\?|$)",
    r"/(live|movie)/",
    "россия",
    "çocuk",
    "sinema",
    "SINEMA",
    "sınema",
    "SİNEMA",
    "s[i]nema",
    "s[a-z]nema",
    "s[^i]nema",
    "s[^x]nema",
    "s[H-J]nema",
    "(?-i:sinema)",
    "s(?-i:i)nema",
    "cctv",
    "straSSe",
    "strase|strasse",
    "stra[s]se",
    "kanal",
    "[k]anal",
    "ςας",
    "ß",
    "ǆ",
    "🇬🇧",
    "[😀]",
    // Ends and edges.
    r"\n$",
    r"\n\Z",
    r"one$",
    r"(?m)one$",
    r"(?m)^HD",
    r"(?m)^$",
    r"(?m)$\n^",
    r"\A\n?\Z",
    r"two$\n",
    r"(?s)one.HD",
    r"one.HD",
    r"(?s:one.)HD",
    r"(?:(?m:^)HD)",
    r"(?=HD$)",
    r"a$|b$",
    r"($)",
    r"(?:$)?x",
    r"^.*$",
    // Categories.
    r"\w+",
    r"^\w+$",
    r"^\W+$",
    r"^\S+$",
    r"a\sb",
    r"a\Sb",
    r"a[\s]b",
    r"a[\S]b",
    r"a[^\s]b",
    r"a[^\S]b",
    r"^[\w ]+$",
    r"^[\W]+$",
    r"[^\W]",
    r"[\W\d]",
    r"^\d",
    r"^[\D]+$",
    r"(?a)^\w+$",
    r"(?a)\d",
    r"(?a)\bHD\b",
    r"(?a)\BHD",
    r"(?a)a\sb",
    r"(?a)kanal",
    r"(?a)strasse",
    r"(?a)sinema",
    r"(?a)çocuk",
    r"(?a:\w)\b",
    r"(?u)\w",
    r"(?u:\bHD\b)",
    r"(?L)a",
    r"(?au)a",
    // Sets.
    "[[]",
    "[[HD]",
    "[[:alpha:]]",
    "[]]",
    "[^]]",
    "[]-a]",
    "[a&&b]",
    "^[a&&b]+$",
    "^[a--b]+$",
    "[a--]",
    "^[a~~b]+$",
    "^[a||b]+$",
    "[x^y]",
    "[^^]",
    "[-_]",
    "[_-]",
    "[--_]",
    "[+--]",
    r"[\-a]",
    r"[\]]",
    r"[\\]",
    r"[\b]",
    r"[\x41-\x43]",
    r"[\101]",
    r"[\0-\37]",
    r"[\u00e7]",
    r"[z-a]",
    r"[\w-z]",
    r"[a-\d]",
    r"[\d-]",
    "[a",
    "[]",
    "[^]",
    "[",
    r"[\",
    r"[\q]",
    r"[\8]",
    r"[\777]",
    "[#-&]",
    // Escapes.
    r"\\",
    r"\a|\x08",
    r"\f\v",
    r"\t",
    r"\x48D",
    r"\x4",
    r"\u0048D",
    r"\u004",
    r"\U00000048D",
    r"\U00110000",
    r"\0",
    r"\07",
    r"\1",
    r"\141",
    r"(a)\141",
    r"\477",
    r"\8",
    r"\.\-\/\:",
    r"\_",
    r"\é",
    r"\q",
    r"\z",
    r"\G",
    r"\Q",
    r"\p{L}",
    r"\h",
    r"\e",
    r"\K",
    r"\R",
    r"\X",
    r"\k<a>",
    r"\g<1>",
    r"\",
    r"\N",
    r"HD\",
    // Repeats.
    "x{2}",
    "^x{2}$",
    "^x{,3}$",
    "^x{3,}$",
    "^x{2,3}$",
    "x{,}",
    "^{,}$",
    "^x{,}$",
    "x{2,1}",
    "x{2,1",
    "{",
    "{,}",
    "{1}",
    "a{1",
    "a{x}",
    "a{1,2,3}",
    "a{ 1}",
    "a{-1}",
    "x{99999999999}",
    "x*?",
    "^x+?$",
    "x??",
    "x{2}?",
    "^x++x",
    "^x*+x",
    "^x?+x",
    "^x{2}+x$",
    "^x{1,3}+x$",
    "(?>x+)x",
    "x**",
    "x+*",
    "x{2}{3}",
    "x*{2}",
    "x???",
    "x+++",
    "*",
    "+a",
    "?",
    "|*",
    "(*)",
    "^*",
    "$+",
    r"\b*",
    r"\b?HD",
    "(?:)*",
    "()*",
    "(a*)*",
    "(?:a*)*b",
    "(?=H)*HD",
    "(?!x)+HD",
    "a|*",
    "(?i)*",
    "a(?#c)*",
    // Groups.
    "(a)(b)(c)",
    r"(abc)\1",
    r"(a)(b)(c)\1\2\3",
    r"(\d)\1",
    r"(\d)\1 (\d)\2",
    r"(?P<n>\d)(?P=n)",
    r"(?P<n>\d)\1",
    r"(a)(?P<n>b)(c)\1(?P=n)\3",
    "(?P<n>a)(?P<n>b)",
    "(?P=n)",
    "(?P<n>(?P=n))",
    r"(\1)",
    r"(a)\2",
    r"(a)\10",
    "(?P<>a)",
    "(?P<1>a)",
    "(?P<a-b>a)",
    "(?P<n",
    "(?P<n>a",
    "(?P=n",
    "(?P>n)",
    "(?P",
    "(?<n>a)",
    "(?'n'a)",
    "(?|a|b)",
    "(?&n)",
    "(?R)",
    "(?",
    "(",
    "(?:",
    ")",
    "a)",
    "(a))",
    "((a)",
    "(?#comment)HD",
    "(?#comment",
    "(?:a|b|)c",
    "a||b",
    "|",
    "(|a)b",
    "(a)?(?(1)b|c)",
    "^(a)?(?(1)b|x)",
    "(?P<q>x)?(?(q)x|a)",
    "(a)(?(1)b|c|d)",
    "(?(1)a|b)",
    "(?(0)a|b)",
    "(?(x)a|b)",
    "(?(1",
    "(a)(?(1)b",
    r"(?<=U)HD",
    r"(?<=UK: )Sky",
    r"(?<!UK: )Sky",
    r"(?<=^)HD",
    r"(?<=\s)HD",
    "(?<",
    "(?<x",
    "(?=",
    "(?!)",
    "(?=)",
    // Flags.
    "(?i)hd",
    "(?i)(?m)^hd",
    "(?im)^hd",
    "^(?i)hd",
    "(hd(?i))",
    "hd(?i)",
    "(?#c)(?i)hd",
    "|(?i)hd",
    "(?i:hd)",
    "(?i-s:hd)",
    "(?-i:hd)",
    "(?-i:HD)",
    "(?-i)HD",
    "(?-i:H(?i:d))",
    "(?s-i:H.)",
    "(?-:a)",
    "(?i-:a)",
    "(?i-i:a)",
    "(?:-i)",
    "(?z)a",
    "(?iz)a",
    "(?i",
    "(?i:",
    "(?a-u:x)",
    "(?-a:x)",
    "(?x) h d # comment",
    "(?x) h\\ d",
    "(?x)[ h]d",
    "(?x: s p o r t )s",
    "(?x)a # (unbalanced\nb",
    "(?x) x {2}",
    "(?x) x * ?",
    "(?x)x{2 }",
    "(?x:a )  ",
    "(?-x:a )",
    "(?xs) H . *",
];

#[test]
fn patterns_mean_what_python_says() {
    let question = json!({ "patterns": PATTERNS, "texts": TEXTS });
    let Some(answers) = support::python(SCRIPT, &question) else {
        return;
    };
    let differences: Vec<String> = PATTERNS
        .iter()
        .zip(answers.as_array().unwrap())
        .flat_map(|(pattern, answer)| {
            differences(pattern, answer)
                .into_iter()
                .chain(misplaced(pattern, answer))
        })
        .collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(PATTERNS.len() >= 40);
}

/// Mangled patterns: none panics, and what both compile means the same to both.
#[test]
fn mangled_patterns_mean_what_python_says() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    // Nothing with the quantifiers' digits, which make some patterns huge.
    let bits = [
        "(", ")", "[", "]", "|", "*", "+", "?", "^", "$", "\\", "-", "i", "ß", "(?:", "(?=", "\\b", "\\1",
        "{,2}", "x",
    ];
    let patterns: Vec<String> = (0..MANGLED)
        .map(|_| {
            let mut pattern: Vec<char> = PATTERNS[random(PATTERNS.len())].chars().collect();
            for _ in 0..=random(3) {
                let at = random(pattern.len() + 1);
                match random(3) {
                    0 if at < pattern.len() => drop(pattern.remove(at)),
                    1 if at < pattern.len() => pattern.truncate(at),
                    _ => drop(pattern.splice(at..at, bits[random(bits.len())].chars()).count()),
                }
            }
            pattern.into_iter().collect()
        })
        .collect();
    for pattern in &patterns {
        if let Err(error) = Pattern::compile(pattern) {
            assert!(
                error.offset.is_none_or(|offset| offset <= pattern.len()),
                "{pattern}: {error:?}"
            );
        }
    }
    let Some(answers) = support::python(SCRIPT, &json!({ "patterns": patterns, "texts": TEXTS })) else {
        return;
    };
    let differences: Vec<String> = patterns
        .iter()
        .zip(answers.as_array().unwrap())
        .filter(|(_, answer)| is_comparable(answer))
        .flat_map(|(pattern, answer)| differences(pattern, answer))
        .collect();
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Many patterns asked for together find what each finds alone.
#[test]
fn patterns_together_are_what_each_is_alone() {
    let names: Vec<&str> = TEXTS.iter().copied().chain(["plain", "sky sports 1"]).collect();
    let mut list = Listing::new("a".into());
    for name in &names {
        list.push(Fields {
            title: name,
            ..Fields::default()
        });
    }
    let compiled: Vec<Pattern> = PATTERNS
        .iter()
        .filter_map(|pattern| Pattern::compile(pattern).ok())
        .collect();
    assert!(compiled.len() > 150);
    let rule = |pattern: &Pattern| Rule {
        when: When {
            name: Some(pattern.clone()),
            ..When::default()
        },
        then: Then {
            pin: true,
            ..Then::default()
        },
        ..Rule::default()
    };
    let rules = ChannelRules {
        rules: compiled.iter().map(rule).collect(),
        ..ChannelRules::default()
    };
    let source = SourceRules {
        name: "a".into(),
        prefix: "".into(),
        suffix: "".into(),
        order: 0,
    };
    let (_, report) = preview(
        &[(source, &list)],
        &Filters::default(),
        &rules,
        &mut Memory::default(),
        None,
    );
    for (pattern, report) in compiled.iter().zip(&report.rules) {
        let alone = names
            .iter()
            .filter(|name| pattern.search(name) == Ok(true))
            .count();
        assert_eq!(report.matched, alone as u64, "{pattern:?}");
    }
}

/// Look-behind of any width is taken here.
fn is_comparable(answer: &Value) -> bool {
    answer["error"]
        .as_str()
        .is_none_or(|error| !error.contains("look-behind"))
}

/// What both refuse, both refuse at the same place.
fn misplaced(pattern: &str, answer: &Value) -> Option<String> {
    let ours = Pattern::compile(pattern).err()?;
    let is_same = answer["offset"].is_null() || json!(ours.offset) == answer["offset"];
    (!is_same).then(|| {
        format!(
            "{pattern}: {ours} at {:?}, Python says {}",
            ours.offset, answer["error"]
        )
    })
}

const MANGLED: usize = 5_000;

fn differences(pattern: &str, answer: &Value) -> Vec<String> {
    let compiled = match (Pattern::compile(pattern), answer.get("found")) {
        (Ok(compiled), Some(_)) => compiled,
        (Ok(_), None) => return vec![format!("{pattern}: compiles, Python says {}", answer["error"])],
        (Err(_), None) => return Vec::new(),
        (Err(ours), Some(_)) => return vec![format!("{pattern}: {ours}, Python compiles it")],
    };
    let found = answer["found"].as_array().unwrap();
    let wrong = TEXTS
        .iter()
        .zip(found)
        .filter(|(text, found)| json!(compiled.search(text).ok()) != **found);
    wrong
        .map(|(text, found)| format!("{pattern} in {text:?}: Python says {found}"))
        .collect()
}
