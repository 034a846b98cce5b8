//! Containers and graphs.

use std::hash::BuildHasherDefault;

use fnv::FnvHasher;

use crate::suite::Suite;
use crate::values::arrays;

fn mix(sum: u32, value: u32) -> u32 {
    sum.rotate_left(5) ^ value.wrapping_mul(0x9e37_79b9)
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/smallvec", |t| {
        use smallvec::SmallVec;
        t.map(
            |x: [u32; 20]| {
                let mut list: SmallVec<[u32; 8]> = SmallVec::new();
                for value in x {
                    if value % 3 == 0 {
                        list.pop();
                    } else {
                        list.insert(list.len() / 2, value);
                    }
                }
                list.retain(|value| *value % 5 != 0);
                list.dedup();
                (list.spilled(), list.iter().fold(0, |a, b| mix(a, *b)))
            },
            &arrays::<u32, 20>(60),
        )
    });
    suite.case("crates/arrayvec", |t| {
        use arrayvec::{ArrayString, ArrayVec};
        t.map(
            |x: [u32; 20]| {
                let mut list: ArrayVec<u32, 10> = ArrayVec::new();
                let refused = x
                    .iter()
                    .filter(|value| list.try_push(**value).is_err())
                    .count() as u8;
                list.swap_remove(2);
                let mut text: ArrayString<7> = ArrayString::new();
                let fits = x
                    .iter()
                    .take_while(|v| text.try_push(char::from(**v as u8)).is_ok())
                    .count() as u8;
                (
                    refused,
                    list.drain(1..4).fold(0, mix),
                    fits,
                    text.len() as u8,
                )
            },
            &arrays::<u32, 20>(60),
        )
    });
    suite.case("crates/hashbrown", |t| {
        use hashbrown::HashMap;
        t.map(
            |x: [u32; 50]| {
                let mut map: HashMap<u32, Vec<u32>, BuildHasherDefault<FnvHasher>> =
                    HashMap::default();
                for (index, key) in x.iter().enumerate() {
                    map.entry(key % 30).or_default().push(index as u32);
                }
                map.retain(|key, _| key % 7 != 0);
                let removed = map.remove(&3).map(|list| list.len() as u8);
                let sum = map.iter().fold(0u32, |sum, (key, list)| {
                    sum.wrapping_add(mix(*key, list.len() as u32))
                });
                (removed, map.len() as u8, sum, map.contains_key(&4))
            },
            &arrays::<u32, 50>(60),
        )
    });
    suite.case("crates/std_hash_map", |t| {
        use std::collections::HashMap;
        t.map(
            |x: [u32; 50]| {
                let mut map: HashMap<u32, u32, BuildHasherDefault<FnvHasher>> = HashMap::default();
                for value in x {
                    *map.entry(value % 20).or_insert(0) += 1;
                }
                let most = map.values().max().copied();
                (
                    most,
                    map.len() as u8,
                    map.into_iter()
                        .fold(0u32, |sum, (k, v)| sum.wrapping_add(mix(k, v))),
                )
            },
            &arrays::<u32, 50>(60),
        )
    });
    suite.case("crates/indexmap", |t| {
        use indexmap::IndexMap;
        t.map(
            |x: [u32; 40]| {
                let mut map: IndexMap<u32, u32, BuildHasherDefault<FnvHasher>> =
                    IndexMap::default();
                for value in x {
                    *map.entry(value % 25).or_insert(value) ^= 1;
                }
                map.swap_remove(&5);
                map.sort_by(|a, _, b, _| b.cmp(a));
                let third = map.get_index(2).map(|(key, value)| (*key, *value));
                (third, map.values().fold(0, |a, b| mix(a, *b)))
            },
            &arrays::<u32, 40>(60),
        )
    });
    suite.case("crates/bitvec", |t| {
        use bitvec::prelude::*;
        t.map(
            |mut x: [u8; 12]| {
                let ones = x.view_bits::<Lsb0>()[5..83].count_ones() as u32;
                let bits = x.view_bits_mut::<Msb0>();
                bits[3..40].rotate_left(11);
                bits[7..30].reverse();
                bits[41..73].store_be(0xdead_beefu32);
                let first = bits[9..].first_one().map(|at| at as u32);
                let list: BitVec<u16, Lsb0> = bits.iter().by_vals().step_by(3).collect();
                (
                    x,
                    ones,
                    first,
                    list.iter_ones().fold(0, |a, b| mix(a, b as u32)),
                )
            },
            &arrays::<u8, 12>(60),
        )
    });
    suite.case("crates/petgraph", |t| {
        use petgraph::Graph;
        use petgraph::algo::{connected_components, kosaraju_scc, toposort};
        use petgraph::graph::UnGraph;
        use petgraph::visit::Dfs;
        t.map(
            |x: [u8; 40]| {
                let edges = || {
                    x.chunks(2)
                        .map(|e| (u32::from(e[0] % 14), u32::from(e[1] % 14)))
                };
                let graph = Graph::<(), ()>::from_edges(edges());
                let loops: Vec<usize> = kosaraju_scc(&graph).iter().map(Vec::len).collect();
                let forward = Graph::<(), ()>::from_edges(edges().filter(|(a, b)| a < b));
                let order = toposort(&forward, None).map_or(0, |order| {
                    order.iter().fold(0, |a, b| mix(a, b.index() as u32))
                });
                let parts = connected_components(&UnGraph::<(), ()>::from_edges(edges())) as u32;
                let mut search = Dfs::new(&graph, 0.into());
                let mut reached = 0;
                while let Some(node) = search.next(&graph) {
                    reached = mix(reached, node.index() as u32);
                }
                (
                    loops.iter().fold(0, |a, b| mix(a, *b as u32)),
                    order,
                    parts,
                    reached,
                )
            },
            &arrays::<u8, 40>(40),
        )
    });
    suite.case("crates/slab", |t| {
        use slab::Slab;
        t.map(
            |x: [u32; 30]| {
                let mut slab = Slab::with_capacity(4);
                let mut keys = Vec::new();
                for value in x {
                    if value % 4 == 0 && !keys.is_empty() {
                        slab.remove(keys.swap_remove(value as usize % keys.len()));
                    } else {
                        keys.push(slab.insert(value));
                    }
                }
                slab.iter().fold(slab.len() as u32, |sum, (key, value)| {
                    mix(mix(sum, key as u32), *value)
                })
            },
            &arrays::<u32, 30>(60),
        )
    });
}
