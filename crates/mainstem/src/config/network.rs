//! A network address range, for `trusted_proxies`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An address range in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3); a bare address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Before the slash there is no IPv4 or IPv6 address.
    #[error("not an IP address; write 192.0.2.7, 10.0.0.0/8 or fd00::/8")]
    Address,
    /// After the slash there is no number from 0 to the address's width.
    #[error("the prefix length must be a number from 0 to {0}")]
    Prefix(u8),
}

impl Network {
    /// Whether `address` lies in the range. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix_bits))
                    .unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix_bits))
                    .unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.trim().parse().map_err(|_| NetworkError::Address)?;
        let width = match base {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let prefix_bits = match prefix {
            None => width,
            Some(prefix) => match prefix.trim().parse() {
                Ok(bits) if bits <= width => bits,
                _ => return Err(NetworkError::Prefix(width)),
            },
        };
        Ok(Self { base, prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_bits)
    }
}

impl From<IpAddr> for Network {
    fn from(base: IpAddr) -> Self {
        let prefix_bits = match base {
            IpAddr::V4(Ipv4Addr { .. }) => 32,
            IpAddr::V6(Ipv6Addr { .. }) => 128,
        };
        Self { base, prefix_bits }
    }
}
