//! AES-128 of whole segments (RFC 8216 §4.3.2.4): CBC with PKCS7 padding, undone as the bytes come in.

use aws_lc_rs::cipher::{AES_128, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use bytes::Bytes;

/// Bytes of a block of AES, of its key and of its vector.
pub(super) const BLOCK_BYTES: usize = 16;

/// One file that is being decrypted.
pub(super) struct Decryption(Option<StreamingDecryptingKey>);

impl Decryption {
    pub(super) fn new(key: &[u8; BLOCK_BYTES], iv: [u8; BLOCK_BYTES]) -> Self {
        let key = UnboundCipherKey::new(&AES_128, key);
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        // A key of this length cannot be refused; without one nothing comes out, and the segment counts as lost.
        Self(
            key.and_then(|key| StreamingDecryptingKey::cbc_pkcs7(key, context))
                .ok(),
        )
    }

    /// What becomes readable with `bytes`: all but the last block, which may be padding.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Bytes {
        let mut out = vec![0; bytes.len() + BLOCK_BYTES];
        let written = self
            .0
            .as_mut()
            .and_then(|cipher| cipher.update(bytes, &mut out).ok())
            .map_or(0, |update| update.written().len());
        out.truncate(written);
        out.into()
    }

    /// The file is over: its last block, without the padding. Nothing where the padding is wrong, as of a file that was
    /// cut short.
    pub(super) fn finish(&mut self) -> Bytes {
        let mut out = [0; BLOCK_BYTES];
        let cipher = self.0.take();
        let last =
            cipher.and_then(|cipher| cipher.finish(&mut out).ok().map(|update| update.written().len()));
        Bytes::copy_from_slice(out.get(..last.unwrap_or(0)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::cipher::{EncryptionContext, PaddedBlockEncryptingKey};

    fn encrypt(key: [u8; 16], iv: [u8; 16], text: &[u8]) -> Vec<u8> {
        let key =
            PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, &key).unwrap()).unwrap();
        let mut bytes = text.to_vec();
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        key.less_safe_encrypt(&mut bytes, context).unwrap();
        bytes
    }

    #[test]
    fn any_division_gives_the_same() {
        let (key, iv) = ([7; 16], 9_u128.to_be_bytes());
        for length in [0, 1, 15, 16, 17, 188 * 7] {
            let text: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let encrypted = encrypt(key, iv, &text);
            for step in [1, 5, 16, 33, encrypted.len()] {
                let mut decryption = Decryption::new(&key, iv);
                let mut found = Vec::new();
                for part in encrypted.chunks(step) {
                    found.extend_from_slice(&decryption.push(part));
                }
                found.extend_from_slice(&decryption.finish());
                assert_eq!(found, text, "{length} in steps of {step}");
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_gives_what_it_has() {
        let (key, iv) = ([7; 16], [0; 16]);
        let encrypted = encrypt(key, iv, &[5; 100]);
        let mut decryption = Decryption::new(&key, iv);
        let mut found = decryption.push(&encrypted[..70]).to_vec();
        found.extend_from_slice(&decryption.finish());
        assert!(
            found.len() >= 48 && found.iter().all(|byte| *byte == 5),
            "{found:?}"
        );
    }
}
