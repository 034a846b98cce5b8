//! What launches use one after the other: taken by who launches, given back by who sees the end, mostly another thread.

use std::sync::Mutex;

use super::launches::lock;

/// Things that nobody uses. Each side has a list in cache lines of its own, so that a list goes from one thread to the
/// other once for many launches.
#[derive(Debug)]
pub(super) struct Recycled<T> {
    at_hand: List<T>,
    returned: List<T>,
}

#[derive(Debug)]
#[repr(align(128))]
struct List<T>(Mutex<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Mutex::default())
    }
}

impl<T> Default for Recycled<T> {
    fn default() -> Self {
        Recycled {
            at_hand: List::default(),
            returned: List::default(),
        }
    }
}

impl<T> Recycled<T> {
    /// One that nobody uses. If there is none, `more` makes some, at least one.
    pub(super) fn take<E>(&self, more: impl FnOnce() -> Result<Vec<T>, E>) -> Result<T, E> {
        let mut at_hand = lock(&self.at_hand.0);
        loop {
            if let Some(one) = at_hand.pop() {
                return Ok(one);
            }
            let mut returned = lock(&self.returned.0);
            std::mem::swap(&mut *at_hand, &mut *returned);
            if at_hand.is_empty() {
                break;
            }
        }
        let mut new = more()?;
        let one = new.pop();
        // The list keeps the room that it has.
        at_hand.append(&mut new);
        match one {
            Some(one) => Ok(one),
            None => unreachable!("there is at least one more"),
        }
    }

    /// Takes one back that nobody uses any more.
    pub(super) fn give_back(&self, one: T) {
        lock(&self.returned.0).push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::Recycled;

    #[test]
    fn what_was_given_back_is_taken_before_more_is_made() {
        let recycled = Recycled::default();
        let take = |first: u32| recycled.take(|| Ok::<_, ()>(vec![first, first + 1]));
        let (one, other) = (take(1).unwrap(), take(3).unwrap());
        assert_eq!([one, other], [2, 1]);
        recycled.give_back(one);
        assert_eq!(take(5), Ok(2));
        assert_eq!(take(7), Ok(8));
        assert_eq!(take(9), Ok(7));
        assert_eq!(recycled.take(|| Err("none")), Err("none"));
    }
}
