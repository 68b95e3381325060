//! Boxes: a size, a kind, contents (4.2). What the contents of each kind mean is told where they are read.
//!
//! Read by hand, because segments are the byte path: a media data box is never copied, a box that is not needed is never
//! read, and one that is damaged costs nobody the others. There is no recursion: whoever reads a box asks for the children
//! it knows.

/// The four characters that name a kind of box.
pub(crate) type Kind = [u8; 4];

/// The head of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// Bytes before the contents: 8, or 16 where the size has 64 bits.
    pub(crate) bytes: usize,
    /// Bytes of the whole box; `None` when it reaches to the end of the file (size 0).
    pub(crate) whole: Option<u64>,
}

/// What stands where a box should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Box(Head),
    /// More bytes are needed to tell.
    Short,
    /// A size that is smaller than the head itself.
    Nonsense(Kind),
}

/// Reads the head at the begin of `bytes`.
pub(crate) fn begin(bytes: &[u8]) -> Begin {
    let mut fields = Fields::new(bytes);
    let (Some(size), Some(kind)) = (fields.u32(), fields.array::<4>()) else {
        return Begin::Short;
    };
    let (bytes, whole) = match size {
        0 => (8, None),
        1 => match fields.u64() {
            Some(size) => (16, Some(size)),
            None => return Begin::Short,
        },
        size => (8, Some(u64::from(size))),
    };
    if whole.is_some_and(|whole| whole < bytes as u64) {
        return Begin::Nonsense(kind);
    }
    Begin::Box(Head { kind, bytes, whole })
}

/// The boxes in `bytes`: kind and contents of each. Ends where they stop making sense.
pub(crate) fn children(mut bytes: &[u8]) -> impl Iterator<Item = (Kind, &[u8])> {
    core::iter::from_fn(move || {
        let Begin::Box(head) = begin(bytes) else {
            return None;
        };
        let whole = match head.whole {
            Some(whole) => usize::try_from(whole).ok()?,
            None => bytes.len(),
        };
        let (this, rest) = bytes.split_at_checked(whole)?;
        bytes = rest;
        Some((head.kind, this.get(head.bytes..)?))
    })
}

/// The contents of the first box of `kind` in `bytes`.
pub(crate) fn child<'a>(bytes: &'a [u8], kind: &Kind) -> Option<&'a [u8]> {
    children(bytes)
        .find(|(found, _)| found == kind)
        .map(|(_, contents)| contents)
}

/// The contents of the first box at the end of `path`.
pub(crate) fn descend<'a>(bytes: &'a [u8], path: &[&Kind]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| child(bytes, kind))
}

/// Fields one after the other, in network order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Those of a full box, behind its version and its flags (4.2).
    pub(crate) fn full(bytes: &'a [u8]) -> Option<(u8, u32, Self)> {
        let mut fields = Self::new(bytes);
        let both = fields.u32()?;
        Some((both.to_be_bytes()[0], both & 0x00FF_FFFF, fields))
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (now, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*now)
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (now, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(now)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// 64 bits where `wide`, otherwise 32.
    pub(crate) fn either(&mut self, wide: bool) -> Option<u64> {
        if wide {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }

    /// The next 32 bits where `there`, which have to be there then.
    pub(crate) fn u32_if(&mut self, there: bool) -> Option<Option<u32>> {
        if there { self.u32().map(Some) } else { Some(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_all_sizes() {
        let check = |bytes: &[u8], expected| assert_eq!(begin(bytes), expected, "{bytes:x?}");
        let head = |bytes, whole| {
            Begin::Box(Head {
                kind: *b"free",
                bytes,
                whole,
            })
        };
        check(b"\0\0\0\x09freeX", head(8, Some(9)));
        check(b"\0\0\0\0free", head(8, None));
        check(b"\0\0\0\x01free\0\0\0\x01\0\0\0\0", head(16, Some(1 << 32)));
        check(b"\0\0\0\x01free\0\0\0\0\0\0\0\x0F", Begin::Nonsense(*b"free"));
        check(b"\0\0\0\x07free", Begin::Nonsense(*b"free"));
        check(b"\0\0\0\x09fre", Begin::Short);
        check(b"\0\0\0\x01free\0\0\0\x01\0\0\0", Begin::Short);
    }

    #[test]
    fn children_end_where_sense_ends() {
        let bytes = b"\0\0\0\x09aaaaX\0\0\0\x08bbbb\0\0\0\x20ccccYY";
        let kinds: Vec<_> = children(bytes).collect();
        assert_eq!(kinds, [(*b"aaaa", &b"X"[..]), (*b"bbbb", &b""[..])]);
        assert_eq!(
            descend(b"\0\0\0\x11aaaa\0\0\0\x09bbbbZ", &[b"aaaa", b"bbbb"]),
            Some(&b"Z"[..])
        );
        assert_eq!(child(b"\0\0\0\0aaaaXY", b"aaaa"), Some(&b"XY"[..]), "to the end");
    }
}
