//! The order in which targets are asked: each once, far from those before and after it.

/// The golden section: its multiples are far from each other.
pub(super) const GOLDEN: f64 = 0.618_034;

/// An order in which numbers below a count come each once, far from their neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub(super) count: u32,
    step: u64,
    /// What undoes a step: their product is one more than a multiple of the count.
    back: u64,
    offset: u64,
}

impl Order {
    pub(super) fn new(count: u32, seed: u32) -> Self {
        // The golden section of the count, and on from there to the next number without a
        // common divisor.
        let mut step = (f64::from(count) * GOLDEN) as u32;
        while gcd(step.max(1), count.max(1)) != 1 {
            step += 1;
        }
        let step = u64::from(step.max(1));
        let count_or_one = count.max(1);
        let offset = u64::from(seed % count_or_one);
        Order { count, step, back: undoes(step, count_or_one.into()), offset }
    }

    /// The place that is next after so many, where the order begins at another one.
    pub(super) fn at(&self, passed: u32, turn: u32) -> Option<usize> {
        (passed < self.count).then(|| {
            let place = u64::from(passed) + u64::from(turn);
            let count = u64::from(self.count);
            (if place < count { place } else { place - count }) as usize
        })
    }

    /// The number that stands at a place.
    pub(super) fn target(&self, place: usize) -> u32 {
        ((place as u64 * self.step + self.offset) % u64::from(self.count)) as u32
    }

    /// The place at which a number stands.
    pub(super) fn place(&self, target: u32) -> Option<usize> {
        (target < self.count).then(|| {
            let count = u64::from(self.count);
            ((u64::from(target) + count - self.offset) % count * self.back % count) as usize
        })
    }
}

/// The number below `count` whose product with `step` is one more than a multiple of it;
/// they have no common divisor (Euclid's algorithm, extended).
fn undoes(step: u64, count: u64) -> u64 {
    let (mut old, mut rest) = (step as i128, i128::from(count));
    let (mut result, mut next) = (1, 0);
    while rest != 0 {
        let times = old / rest;
        (old, rest) = (rest, old - times * rest);
        (result, next) = (next, result - times * next);
    }
    result.rem_euclid(i128::from(count)) as u64
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_number_stands_at_one_place(count in 1_u32..5_000, seed: u32, share in 0.0..1.0_f64) {
            let order = Order::new(count, seed);
            let turn = (f64::from(count) * share) as u32;
            let mut seen = vec![false; count as usize];
            for passed in 0..count {
                let place = order.at(passed, turn).unwrap();
                let number = order.target(place);
                proptest::prop_assert_eq!(order.place(number), Some(place));
                proptest::prop_assert!(!std::mem::replace(&mut seen[number as usize], true));
            }
            proptest::prop_assert_eq!(order.at(count, turn), None);
            proptest::prop_assert_eq!(order.place(count), None);
        }
    }

    #[test]
    fn the_largest_network_has_an_order_too() {
        let order = Order::new(u32::MAX, 7);
        for number in [0, 1, 12_345, u32::MAX - 1] {
            assert_eq!(order.place(number).map(|place| order.target(place)), Some(number));
        }
    }
}
