//! How many objects go into one request: as many as NetBox takes in a few seconds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::object::Kind;

/// A request this quick may be longer the next time.
const QUICK: Duration = Duration::from_secs(5);

/// A request this slow must be shorter the next time: proxies cut at 60 s, and a cut
/// request leaves everything in doubt.
const SLOW: Duration = Duration::from_secs(15);

/// Where every kind begins.
const FIRST: usize = 50;

/// The number of objects in a request, by kind.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    sizes: Mutex<BTreeMap<Kind, usize>>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Pace { most: most.max(1), sizes: Mutex::default() }
    }

    fn change(&self, kind: Kind, with: impl Fn(usize) -> usize) {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let size = sizes.entry(kind).or_insert(FIRST.min(self.most));
        *size = with(*size).clamp(1, self.most);
    }

    pub(super) fn size(&self, kind: Kind) -> usize {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.get(&kind).copied().unwrap_or(FIRST.min(self.most))
    }

    /// A request with so many objects took so long.
    pub(super) fn took(&self, kind: Kind, objects: usize, time: Duration) {
        if time >= SLOW {
            self.change(kind, |size| size.min(objects) / 2);
        } else if time <= QUICK {
            self.change(kind, |size| if objects >= size { size * 2 } else { size });
        }
    }

    /// A request with so many objects was too long, or its time ran out.
    pub(super) fn failed(&self, kind: Kind, objects: usize) {
        self.change(kind, |size| size.min(objects) / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_what_is_slow_and_grows_again_up_to_the_limit() {
        let pace = Pace::new(100);
        assert_eq!(pace.size(Kind::Device), 50);
        pace.took(Kind::Device, 50, Duration::from_secs(1));
        pace.took(Kind::Device, 100, Duration::from_secs(1));
        assert_eq!(pace.size(Kind::Device), 100);
        pace.failed(Kind::Device, 100);
        assert_eq!(pace.size(Kind::Device), 50);
        pace.took(Kind::Device, 50, Duration::from_secs(40));
        assert_eq!(pace.size(Kind::Device), 25);
        pace.took(Kind::Device, 25, Duration::from_secs(10));
        assert_eq!(pace.size(Kind::Device), 25, "neither quick nor slow");
        pace.took(Kind::Device, 7, Duration::from_secs(1));
        assert_eq!(pace.size(Kind::Device), 25, "a short rest says nothing");
        assert_eq!(pace.size(Kind::Interface), 50, "each kind has its own");
        for _ in 0..9 {
            pace.failed(Kind::Device, 1);
        }
        assert_eq!(pace.size(Kind::Device), 1);
    }
}
