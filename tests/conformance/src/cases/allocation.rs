//! The heap: owners, containers, sharing.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, LinkedList, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::suite::Suite;
use crate::values::{arrays, values};

/// A binary search tree of boxes.
#[derive(Default)]
struct Tree {
    root: Option<Box<Node>>,
}

struct Node {
    key: u32,
    left: Tree,
    right: Tree,
}

impl Tree {
    fn insert(&mut self, key: u32) {
        match &mut self.root {
            Some(node) if key < node.key => node.left.insert(key),
            Some(node) => node.right.insert(key),
            None => {
                let (left, right) = (Tree::default(), Tree::default());
                self.root = Some(Box::new(Node { key, left, right }));
            }
        }
    }

    fn depth(&self) -> u32 {
        self.root
            .as_ref()
            .map_or(0, |node| 1 + node.left.depth().max(node.right.depth()))
    }

    fn in_order(&self, visit: &mut dyn FnMut(u32)) {
        if let Some(node) = &self.root {
            node.left.in_order(visit);
            visit(node.key);
            node.right.in_order(visit);
        }
    }
}

fn mix(sum: u32, value: u32) -> u32 {
    sum.rotate_left(5) ^ value.wrapping_mul(0x9e37_79b9)
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("allocation/vec", |t| {
        t.map(
            |n: u16| {
                let mut numbers: Vec<u32> = (0..u32::from(n % 300)).collect();
                numbers.insert(numbers.len() / 2, 7);
                numbers.extend((0..20).map(|x| x * x));
                numbers.swap_remove(3);
                let drained: u32 = numbers.drain(2..8).sum();
                numbers.shrink_to_fit();
                let split = numbers.split_off(numbers.len() / 3);
                numbers.splice(1..2, [9, 9, 9]);
                (
                    drained,
                    split.iter().fold(0, |a, b| mix(a, *b)),
                    numbers.iter().fold(1, |a, b| mix(a, *b)),
                )
            },
            &values::<u16>(100),
        )
    });
    suite.case("allocation/boxes", |t| {
        t.map(
            |x: [u32; 40]| {
                let mut tree = Tree::default();
                x.iter().for_each(|key| tree.insert(*key));
                let mut sum = 0;
                tree.in_order(&mut |key| sum = mix(sum, key));
                (tree.depth(), sum)
            },
            &arrays::<u32, 40>(50),
        )
    });
    suite.case("allocation/btree_map", |t| {
        t.map(
            |x: [u32; 60]| {
                let mut map = BTreeMap::new();
                for (index, key) in x.iter().enumerate() {
                    map.entry(key % 40)
                        .or_insert_with(Vec::new)
                        .push(index as u32);
                }
                map.retain(|key, _| key % 3 != 0);
                map.remove(&4);
                let split = map.split_off(&20);
                let sum = |map: &BTreeMap<u32, Vec<u32>>| {
                    map.iter().fold(0, |sum, (key, list)| {
                        list.iter().fold(mix(sum, *key), |a, b| mix(a, *b))
                    })
                };
                (sum(&map), sum(&split), map.len() as u32)
            },
            &arrays::<u32, 60>(50),
        )
    });
    suite.case("allocation/btree_set", |t| {
        t.map(
            |x: [u8; 30]| {
                let left: BTreeSet<u8> = x[..15].iter().map(|v| v % 32).collect();
                let right: BTreeSet<u8> = x[15..].iter().map(|v| v % 32).collect();
                (
                    left.intersection(&right)
                        .fold(0, |a, b| mix(a, u32::from(*b))),
                    left.symmetric_difference(&right).count() as u8,
                    (
                        left.is_subset(&right),
                        left.last().copied(),
                        right.range(9..).next().copied(),
                    ),
                )
            },
            &arrays::<u8, 30>(50),
        )
    });
    suite.case("allocation/deque_heap_list", |t| {
        t.map(
            |x: [u32; 24]| {
                let mut deque = VecDeque::with_capacity(4);
                for value in x {
                    if value % 3 == 0 {
                        deque.push_front(value)
                    } else {
                        deque.push_back(value)
                    }
                    if deque.len() > 9 {
                        deque.pop_front();
                    }
                }
                deque.make_contiguous().sort_unstable();
                let mut heap: BinaryHeap<Reverse<u32>> = x.iter().map(|v| Reverse(*v)).collect();
                let least = heap.pop().map(|v| v.0);
                let mut list: LinkedList<u32> = x.into_iter().collect();
                let tail = list.split_off(10);
                (
                    deque.iter().fold(0, |a, b| mix(a, *b)),
                    least,
                    heap.into_sorted_vec()[2].0,
                    tail.iter().rev().fold(0, |a, b| mix(a, *b)),
                )
            },
            &arrays::<u32, 24>(50),
        )
    });
    suite.case("allocation/shared", |t| {
        struct Parent {
            children: RefCell<Vec<Rc<Child>>>,
            visits: Cell<u32>,
        }
        struct Child {
            parent: Weak<Parent>,
            value: u32,
        }
        t.map(
            |x: [u32; 6]| {
                let parent = Rc::new(Parent {
                    children: RefCell::default(),
                    visits: Cell::new(0),
                });
                for value in x {
                    let child = Child {
                        parent: Rc::downgrade(&parent),
                        value,
                    };
                    parent.children.borrow_mut().push(Rc::new(child));
                }
                let kept = Rc::clone(&parent.children.borrow()[2]);
                for child in parent.children.borrow().iter() {
                    if let Some(parent) = child.parent.upgrade() {
                        parent.visits.set(mix(parent.visits.get(), child.value));
                    }
                }
                let visits = parent.visits.get();
                let counts = (Rc::strong_count(&kept) as u8, Rc::weak_count(&parent) as u8);
                drop(parent);
                (visits, counts, kept.parent.upgrade().is_none(), kept.value)
            },
            &arrays::<u32, 6>(50),
        )
    });
    suite.case("allocation/arc_and_cow", |t| {
        t.map(
            |x: [u8; 8]| {
                let shared: Arc<[u8]> = Arc::from(&x[..5]);
                let mut own = Arc::new(x);
                let other = Arc::clone(&own);
                Arc::make_mut(&mut own)[0] ^= 0xff;
                let mut cow = Cow::Borrowed(&other[..]);
                if x[1] % 2 == 0 {
                    cow.to_mut()[2] = 9;
                }
                let text: Rc<str> = Rc::from("shared text");
                (
                    own[0],
                    other[0],
                    Arc::strong_count(&other) as u8,
                    cow[2],
                    matches!(cow, Cow::Owned(_)),
                    shared.len() as u8 + text.len() as u8,
                )
            },
            &arrays::<u8, 8>(50),
        )
    });
    suite.case("allocation/large", |t| {
        t.map(
            |seed: u32| {
                let mut numbers = vec![0u32; 50_000];
                let mut state = seed;
                for number in &mut numbers {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *number = state;
                }
                numbers.sort_unstable();
                (numbers[0], numbers[25_000], numbers[49_999])
            },
            &values::<u32>(9),
        )
    });
    suite.case("allocation/aligned", |t| {
        #[derive(Clone, Copy)]
        #[repr(align(64))]
        struct Line([u32; 3]);
        t.map(
            |x: u32| {
                let boxed = Box::new(Line([x; 3]));
                let lines = vec![*boxed; 3];
                let aligned =
                    (&raw const lines[1]).addr() % 64 == 0 && (&raw const *boxed).addr() % 64 == 0;
                (aligned, lines[2].0[1], size_of::<Line>() as u32)
            },
            &values::<u32>(20),
        )
    });
    suite.case("allocation/nested", |t| {
        t.map(
            |n: u8| {
                let grid: Vec<Vec<String>> = (0..n % 9)
                    .map(|row| {
                        (0..row + 2)
                            .map(|column| format!("{row}:{column}"))
                            .collect()
                    })
                    .collect();
                let flat = grid.concat().join(",");
                (
                    flat.len() as u32,
                    flat.bytes().fold(0, |a, b| mix(a, u32::from(b))),
                )
            },
            &values::<u8>(40),
        )
    });
}
