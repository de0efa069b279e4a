//! Which of two credentials of one key counts: the one that was issued later. One home for the rule.

use trust::host::read_unverified_credential;

/// How far ahead of this clock a credential may be dated, seconds: clocks differ. One that is dated later still would
/// keep out each that follows it until that time has come.
pub const MAX_ISSUED_AHEAD: u64 = 24 * 60 * 60;

/// How an offered credential stands to the stored one of the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It is the stored one.
    Same,
    /// It takes the place of the stored one.
    Later,
    /// The stored one was issued later, at this time.
    Earlier { stored: u64 },
    /// Both were issued at this time, and nobody can say which one counts.
    Contradicts { issued_at: u64 },
}

/// Whether a credential is dated later than clocks differ.
pub const fn is_ahead(issued_at: u64, now: u64) -> bool {
    issued_at > now.saturating_add(MAX_ISSUED_AHEAD)
}

/// Compares an offered credential with the stored one at `now`. A stored one that is dated ahead, from before this was
/// refused, stands in the way of none.
///
/// # Errors
/// One of them is not a credential.
pub fn order(offered: &[u8], stored: &[u8], now: u64) -> Result<Order, trust::Error> {
    if offered == stored {
        return Ok(Order::Same);
    }
    let issued_at = |bytes| read_unverified_credential(bytes).map(|claims| claims.issued_at().0);
    let (offered, stored) = (issued_at(offered)?, issued_at(stored)?);
    Ok(match offered {
        _ if is_ahead(stored, now) => Order::Later,
        offered if offered > stored => Order::Later,
        offered if offered == stored => Order::Contradicts { issued_at: stored },
        _ => Order::Earlier { stored },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use trust::author::{CredentialRequest, ScopeRequest, Signer as _, SoftwareKey, issue_credential};
    use trust::{Role, UnixTime};

    use super::*;

    const DAY: u64 = MAX_ISSUED_AHEAD;

    pub(crate) fn issued(at: u64, cti: u8) -> Vec<u8> {
        let key = SoftwareKey::from_seed(&[1; 32]).unwrap();
        let request = CredentialRequest {
            iss: "root".into(),
            sub: "line".into(),
            key: key.public_key(),
            role: Role::Identity,
            scope: ScopeRequest {
                vendor: [1; 16],
                classes: vec![[2; 16]],
                serials: Vec::new(),
                actions: None,
            },
            issued_at: UnixTime(at),
            not_before: None,
            expires: None,
            cti: [cti; 16],
            generation: 0,
            sequence_ceiling: None,
        };
        issue_credential(&request, &SoftwareKey::from_seed(&[2; 32]).unwrap()).unwrap()
    }

    #[test]
    fn the_later_one_counts_unless_it_is_dated_ahead() {
        let now = 1_800_000_000;
        let order = |offered: &[u8], stored: &[u8]| order(offered, stored, now).unwrap();
        let (old, new) = (issued(now - 5, 1), issued(now - 4, 1));
        assert_eq!(order(&new, &old), Order::Later);
        assert_eq!(order(&old, &new), Order::Earlier { stored: now - 4 });
        assert_eq!(order(&old, &old), Order::Same);
        assert_eq!(order(&issued(now - 5, 2), &old), Order::Contradicts { issued_at: now - 5 });
        // A clock may be a day ahead; what is dated later still gives way.
        assert_eq!(order(&old, &issued(now + DAY, 1)), Order::Earlier { stored: now + DAY });
        assert_eq!(order(&old, &issued(now + DAY + 1, 1)), Order::Later);
        assert!(!is_ahead(now + DAY, now) && is_ahead(now + DAY + 1, now) && !is_ahead(u64::MAX, u64::MAX));
        assert!(super::order(b"", &old, now).is_err() && super::order(&old, b"", now).is_err());
    }
}
