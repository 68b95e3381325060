//! The built-in test card as a source of one channel.

use catalog::listing::{Extra, Fields, Kind};
use catalog::{Listing, SourceName, StreamUrl};

use crate::upstream::open::CARD_URL;

/// What the channel is called.
const NAME: &str = "mainstem test card";

/// The card's listing: always the same.
pub(super) fn listing(source: &SourceName) -> Listing {
    let mut listing = Listing::new(source.clone());
    listing.push(Fields {
        tvg_name: None,
        title: NAME,
        group: Some("mainstem"),
        logo: None,
        tvg_id: None,
        kind: Kind::Live,
        url: StreamUrl::new(CARD_URL),
        direct: None,
        stream_key: "testcard",
        tvg_chno: None,
        extra: Extra::default(),
    });
    listing
}
