//! The name someone probably meant.

/// The one of `names` nearest to `typed`, if it is near enough to be meant.
pub(super) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    let within = (typed.chars().count() / 3).clamp(1, 3);
    names
        .map(|name| {
            (
                strsim::damerau_levenshtein(&typed, &name.to_ascii_lowercase()),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= within)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
