//! One-use tokens of redirect chains: what each leads to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::board::Strike;
use crate::fault::{Fault, RedirectForm};
use crate::plan::Account;
use crate::provider::Shared;

/// Tokens kept unused; a client that never follows does not fill the memory.
const UNUSED_MAX: usize = 10_000;

/// Where a token leads: further 302, then the stream.
#[derive(Clone, Debug)]
pub(crate) struct Lead {
    pub(crate) account: String,
    pub(crate) stream: String,
    pub(crate) extension: String,
    pub(crate) hops: u8,
    pub(crate) form: RedirectForm,
    /// Faults of the request that began the chain; they strike at its end.
    pub(crate) strikes: Vec<Strike>,
}

#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<(u64, HashMap<String, Lead>)>);

impl Tokens {
    pub(crate) fn issue(&self, lead: Lead) -> String {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.1.len() >= UNUSED_MAX {
            tokens.1.clear();
        }
        tokens.0 += 1;
        // Looks random and never repeats: multiplication by an odd number is a bijection modulo 2^64.
        let token = format!("{:016x}", tokens.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        tokens.1.insert(token.clone(), lead);
        token
    }

    /// What the token leads to, once.
    pub(crate) fn redeem(&self, token: &str) -> Option<Lead> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .remove(token)
    }
}

/// The next address of a chain of redirects, where there is one to go. `who`: account, stream, extension of the address;
/// `strikes`: what struck the request, for a chain that begins here.
pub(crate) fn next_hop(
    shared: &Shared,
    who: (&Account, &str, &str),
    lead: Option<&Lead>,
    strikes: &[Strike],
) -> Option<String> {
    let (account, stream, extension) = who;
    let (hops, form) = match lead {
        Some(lead) => (lead.hops, lead.form),
        None => strikes.iter().find_map(|s| match s.fault {
            Fault::Redirect { hops, form } => Some((hops, form)),
            _ => None,
        })?,
    };
    let hops = hops.checked_sub(1)?;
    let token = shared.tokens.issue(Lead {
        account: account.username.clone(),
        stream: stream.to_owned(),
        extension: extension.to_owned(),
        hops,
        form,
        strikes: lead.map_or(strikes, |lead| &lead.strikes).to_vec(),
    });
    let path = format!("/token/{token}/{stream}.{extension}");
    Some(match form {
        RedirectForm::Relative => path,
        RedirectForm::Absolute => format!("http://{}{path}", shared.addr),
        RedirectForm::OtherHost => format!("http://{}{path}", shared.edge_addr),
    })
}
