//! The requests of a session: all under its slot, one after the other, with the headers of its source.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hls::follow::{Encryption, Initialisation, Range};
use hls::playlist::PLAYLIST_BYTES_MAX;
use http::header::RANGE;
use http::{HeaderValue, StatusCode};
use relay::{Failure, FailureClass};
use url::Url;

use super::decryption::{BLOCK_BYTES, Decryption};
use super::part::Part;
use super::unusable;
use crate::slot::{Rest, Slot, Watch};
use crate::upstream::answer::failure_of_status;
use crate::upstream::http::{Body, Client, Request, Response};
use crate::upstream::sniff::{Content, sniff};

/// How long a login is left alone whose provider says "too often" in the middle of a session, and not for how long.
const TOO_OFTEN_REST: Duration = Duration::from_secs(15);

/// Keys that are remembered: of several renditions, and of those that are about to change.
const KEYS_MAX: usize = 16;

/// Initialisation segments that are remembered, and bytes of one: they are a kilobyte or two.
const INITIALISATIONS_MAX: usize = 8;
const INITIALISATION_BYTES_MAX: usize = 1 << 20;

/// Bytes of an answer in which a key is looked for: 16 are one.
const KEY_ANSWER_BYTES_MAX: usize = 4 << 10;

type Key = [u8; BLOCK_BYTES];

/// Makes the requests of a session.
pub(super) struct Requests {
    client: Client,
    request: Request,
    keys: VecDeque<(Url, Key)>,
    initialisations: VecDeque<(Url, Option<Range>, Bytes)>,
    /// For all requests of the session, one at a time. Last, so that it comes back after the socket is closed.
    slot: Slot,
}

impl Requests {
    /// `request` is the one the session began with.
    pub(super) fn new(client: Client, request: Request, slot: Slot) -> Self {
        slot.requested();
        Self {
            client,
            request,
            keys: VecDeque::new(),
            initialisations: VecDeque::new(),
            slot,
        }
    }

    /// The address the session began with.
    pub(super) fn origin(&self) -> &Url {
        &self.request.url
    }

    pub(super) fn watch(&self) -> Watch {
        self.slot.watch()
    }

    pub(super) fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.slot.revoked()
    }

    pub(super) fn into_slot(self) -> Slot {
        self.slot
    }

    /// One request of the session, under the session's slot.
    pub(super) async fn get(&self, url: Url, range: Option<Range>) -> Result<Response, Failure> {
        let mut request = Request {
            url,
            ..self.request.clone()
        };
        if let Some(Range { first, last }) = range
            && let Ok(value) = HeaderValue::try_from(format!("bytes={first}-{last}"))
        {
            request.headers.insert(RANGE, value);
        }
        self.slot.requested();
        let answer = self.client.send(request, None).await?;
        let Some(failure) = failure_of_status(answer.status, &answer.headers) else {
            return Ok(answer);
        };
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let rest = failure.retry_after.unwrap_or(TOO_OFTEN_REST);
            self.slot.cool_login(rest, Rest::Requests);
        }
        Err(failure)
    }

    /// A playlist, and the address that answered; `None` in place of it where the answer is a stream of its own.
    pub(super) async fn playlist(&self, url: Url) -> Result<(Url, Option<Bytes>), Failure> {
        let Response { url, mut body, .. } = self.get(url, None).await?;
        let head = body.read().await?.unwrap_or_default();
        if matches!(
            sniff(&head, false),
            Some(Content::TransportStream | Content::Audio)
        ) {
            return Ok((url, None));
        }
        let (text, _) = read_playlist(head, body).await?;
        Ok((url, Some(text)))
    }

    /// The key of `encryption`, whose address counts from `base`.
    pub(super) async fn key(&mut self, base: &Url, encryption: &Encryption) -> Result<Key, Failure> {
        let url = resolve(base, encryption.key.uri.as_deref().unwrap_or_default())?;
        if let Some((_, key)) = self.keys.iter().find(|(known, _)| *known == url) {
            return Ok(*key);
        }
        let mut body = self.get(url.clone(), None).await?.body;
        let answer = read_whole(&mut body, KEY_ANSWER_BYTES_MAX).await?;
        let key = read_key(&answer)
            .ok_or_else(|| Failure::new(FailureClass::Transient, "the key of the segments is no key"))?;
        remember(&mut self.keys, KEYS_MAX, (url, key));
        Ok(key)
    }

    /// Forgets a key that opened nothing: it may have changed at its address.
    pub(super) fn forget_key(&mut self, base: &Url, encryption: &Encryption) {
        let url = encryption.key.uri.as_deref().and_then(|uri| base.join(uri).ok());
        self.keys.retain(|(known, _)| Some(known) != url.as_ref());
    }

    /// Forgets an initialisation segment that nothing could be read with, and its key: it may have been a page.
    pub(super) fn forget_initialisation(&mut self, base: &Url, wanted: &Initialisation) {
        let url = base.join(&wanted.uri).ok();
        self.initialisations
            .retain(|(known, range, _)| Some(known) != url.as_ref() || *range != wanted.range);
        if let Some(encryption) = &wanted.encryption {
            self.forget_key(base, encryption);
        }
    }

    /// What EXT-X-MAP names, in the clear.
    pub(super) async fn initialisation(
        &mut self,
        base: &Url,
        wanted: &Initialisation,
    ) -> Result<Bytes, Failure> {
        let url = resolve(base, &wanted.uri)?;
        let same = |(known, range, _): &&(Url, Option<Range>, Bytes)| *known == url && *range == wanted.range;
        if let Some((_, _, bytes)) = self.initialisations.iter().find(same) {
            return Ok(bytes.clone());
        }
        let decryption = match &wanted.encryption {
            Some(encryption) => Some(Decryption::new(&self.key(base, encryption).await?, encryption.iv)),
            None => None,
        };
        let answer = self.get(url.clone(), wanted.range).await?;
        let mut part = Part::new(answer, wanted.range, decryption);
        let mut bytes = BytesMut::new();
        while let Some(more) = part.read().await? {
            if bytes.len() + more.len() > INITIALISATION_BYTES_MAX {
                return Err(unusable(
                    "an initialisation segment (EXT-X-MAP) that is far too long",
                ));
            }
            bytes.extend_from_slice(&more);
        }
        let bytes = bytes.freeze();
        remember(
            &mut self.initialisations,
            INITIALISATIONS_MAX,
            (url, wanted.range, bytes.clone()),
        );
        Ok(bytes)
    }
}

fn remember<T>(known: &mut VecDeque<T>, most: usize, fresh: T) {
    if known.len() >= most {
        known.pop_front();
    }
    known.push_back(fresh);
}

/// 16 bytes, as the RFC wants it, or the same in hexadecimal, as some panels send it.
fn read_key(answer: &[u8]) -> Option<Key> {
    if let Ok(key) = Key::try_from(answer) {
        return Some(key);
    }
    let text = std::str::from_utf8(answer).ok()?.trim();
    let is_hexadecimal = text.len() == 2 * BLOCK_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hexadecimal)?;
    Some(number.to_be_bytes())
}

/// An address in a playlist that came from `base`.
pub(super) fn resolve(base: &Url, uri: &str) -> Result<Url, Failure> {
    let url = base
        .join(uri)
        .map_err(|_| unusable("a playlist with an invalid address in it"))?;
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(unusable("a playlist that leads to something other than http"))
}

/// The rest of a playlist whose first bytes are there, and the slot of the request.
pub(super) async fn read_playlist(head: Bytes, mut body: Body) -> Result<(Bytes, Option<Slot>), Failure> {
    let mut text = BytesMut::from(head.as_ref());
    while let Some(bytes) = body.read().await? {
        if text.len() + bytes.len() > PLAYLIST_BYTES_MAX {
            return Err(unusable("an HLS playlist that is far too long"));
        }
        text.extend_from_slice(&bytes);
    }
    Ok((text.freeze(), body.into_slot()))
}

async fn read_whole(body: &mut Body, most: usize) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    while let Some(bytes) = body.read().await? {
        let room = most.saturating_sub(whole.len());
        whole.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        if whole.len() >= most {
            break;
        }
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_bytes_or_as_digits() {
        assert_eq!(read_key(&[7; 16]), Some([7; 16]));
        assert_eq!(
            read_key(b"0102030405060708090a0b0c0d0e0f10\n"),
            Some(core::array::from_fn(|at| u8::try_from(at + 1).unwrap()))
        );
        for wrong in [&b""[..], b"<html>", &[1; 17], b"+102030405060708090a0b0c0d0e0f10"] {
            assert_eq!(read_key(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn addresses_lead_to_http_or_nowhere() {
        let base = Url::parse("http://u:p@h.example/a/b/index.m3u8?token=1").unwrap();
        for (uri, expected) in [
            ("x.ts", Some("http://u:p@h.example/a/b/x.ts")),
            ("../x", Some("http://u:p@h.example/a/x")),
            ("//other.example/x?y", Some("http://other.example/x?y")),
            ("?n=1", Some("http://u:p@h.example/a/b/index.m3u8?n=1")),
            ("skd://asset", None),
            ("file:///etc/passwd", None),
            ("http://[", None),
        ] {
            assert_eq!(
                resolve(&base, uri).ok().map(String::from).as_deref(),
                expected,
                "{uri}"
            );
        }
    }
}
