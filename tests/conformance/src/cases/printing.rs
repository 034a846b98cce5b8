//! What kernels print: all of it, whole lines, in the order of each work-item.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use legionella::Error;
use legionella::prelude::*;
use legionella::printing::{Printed, Stream};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::values;

/// The text of each item for both streams.
type Texts = BTreeMap<u64, [String; 2]>;

/// What an accelerator has printed.
#[derive(Default)]
struct Heard {
    texts: Texts,
    /// What was no whole line.
    ragged: usize,
    lost: u64,
}

impl Trial<'_> {
    /// What a launch prints. Its end is for the case to look at.
    fn heard(
        &self,
        launch: impl FnOnce(&Accelerator) -> legionella::Result<()>,
    ) -> Result<(Heard, legionella::Result<()>), Failure> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let to = Arc::clone(&heard);
        self.accelerator.on_print(move |printed| {
            let mut heard = to.lock().unwrap_or_else(PoisonError::into_inner);
            match printed {
                Printed::Text { text, stream, item } => {
                    let of_item = heard.texts.entry(item).or_default();
                    of_item[usize::from(stream == Stream::Error)].push_str(text);
                    heard.ragged += usize::from(!text.ends_with('\n'));
                }
                Printed::Lost(count) => heard.lost += count,
                _ => {}
            }
        })?;
        let ended = launch(self.accelerator);
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((std::mem::take(&mut heard), ended))
    }

    /// Compares what a launch prints with the text of each item.
    fn prints(
        &self,
        expected: Texts,
        launch: impl FnOnce(&Accelerator) -> legionella::Result<()>,
    ) -> Verdict {
        let (heard, ended) = self.heard(launch)?;
        ended?;
        let expected: Texts = expected
            .into_iter()
            .filter(|(_, texts)| texts.iter().any(|text| !text.is_empty()))
            .collect();
        if heard.lost > 0 {
            return Err(Failure::unexpected("all", format!("{} lost", heard.lost)));
        }
        let differs = expected
            .iter()
            .find(|(item, texts)| heard.texts.get(item) != Some(texts));
        if let Some((item, texts)) = differs {
            return Err(Failure::unexpected(
                format!("item {item}: {texts:?}"),
                format!("{:?}", heard.texts.get(item)),
            ));
        }
        match heard.texts.len() == expected.len() {
            true => Ok(()),
            false => Err(Failure::unexpected(
                "nothing of other items",
                heard.texts.len(),
            )),
        }
    }
}

/// What each item prints on standard output.
fn each(items: usize, text: impl Fn(usize) -> String) -> Texts {
    (0..items)
        .map(|item| (item as u64, [text(item), String::new()]))
        .collect()
}

fn formats(at: Item, x: &[f64]) {
    let (i, x) = (at.global(), x[at.global()]);
    legionella::println!(
        "{i:>5}|{x:e}|{x:+.3}|{:#x}|{:?}",
        x.to_bits(),
        Some(i as u8 as char)
    );
}

fn formatted(i: usize, x: f64) -> String {
    format!(
        "{i:>5}|{x:e}|{x:+.3}|{:#x}|{:?}\n",
        x.to_bits(),
        Some(i as u8 as char)
    )
}

fn in_parts(at: Item) {
    for part in 0..at.x() % 4 {
        legionella::print!("{part}");
        if part == 1 {
            legionella::println!();
        }
    }
    legionella::print!(" of {}\nand", at.x());
}

fn parted(item: usize) -> String {
    let mut text = String::new();
    for part in 0..item % 4 {
        text += &part.to_string();
        if part == 1 {
            text += "\n";
        }
    }
    text + &format!(" of {item}\nand")
}

fn sometimes(at: Item) {
    if at.y() % 3 == 1 {
        legionella::println!("{} {} {}", at.x(), at.y(), at.z());
    }
}

fn long(at: Item, text: &[u8]) {
    let part = str::from_utf8(&text[..at.global() * 100]).unwrap_or("?");
    legionella::println!("<{part}>");
}

fn two_streams(at: Item) {
    legionella::eprint!("warning ");
    legionella::println!("result");
    let twice = legionella::dbg!(2 * at.global());
    legionella::eprintln!("{}", twice + 1);
}

/// The line of the macro in [`two_streams`].
const DBG: &str = "] 2 * at.global() = ";

fn around_barriers(group: Group) {
    legionella::println!("{} before", group.rank());
    group.barrier();
    legionella::println!("{} between", group.rank());
    let first = group.subgroup().all(group.rank() < 40);
    legionella::println!("{first} for the subgroup");
}

fn panics(at: Item) {
    legionella::println!("item {} is there", at.global());
    if at.global() == 3 {
        legionella::print!("and leaves");
        panic!("here");
    }
}

fn many(at: Item, times: usize) {
    for time in 0..times {
        legionella::println!("{time}");
    }
    let _ = at;
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("printing/formats", |t| {
        let x = values::<f64>(200);
        let input = t.accelerator.upload(&x)?;
        t.prints(each(x.len(), |i| formatted(i, x[i])), |accelerator| {
            accelerator.launch(formats, x.len(), (&input,))?.wait()
        })
    });
    suite.case("printing/parts_of_lines", |t| {
        t.prints(each(100, parted), |accelerator| {
            accelerator.launch(in_parts, 100, ())?.wait()
        })
    });
    suite.case("printing/some_items", |t| {
        let expected = each(13 * 7 * 2, |item| {
            let [x, y, z] = [item % 13, item / 13 % 7, item / 91];
            match y % 3 {
                1 => format!("{x} {y} {z}\n"),
                _ => String::new(),
            }
        });
        t.prints(expected, |accelerator| {
            accelerator.launch(sometimes, [13, 7, 2], ())?.wait()
        })
    });
    suite.case("printing/long_lines", |t| {
        let text: Vec<u8> = (0..2500).map(|i| b'a' + (i % 26) as u8).collect();
        let input = t.accelerator.upload(&text)?;
        let line = |i: usize| format!("<{}>\n", str::from_utf8(&text[..100 * i]).unwrap_or("?"));
        t.prints(each(25, line), |accelerator| {
            accelerator.launch(long, 25, (&input,))?.wait()
        })
    });
    suite.case("printing/two_streams", |t| {
        let (heard, ended) =
            t.heard(|accelerator| accelerator.launch(two_streams, 20, ())?.wait())?;
        ended?;
        for item in 0..20 {
            let found = heard.texts.get(&item).cloned().unwrap_or_default();
            let as_expected = found[0] == "result\n"
                && found[1].starts_with("warning [")
                && found[1].contains("printing.rs:")
                && found[1].ends_with(&format!("{DBG}{}\n{}\n", 2 * item, 2 * item + 1));
            if !as_expected || heard.ragged > 0 {
                return Err(Failure::unexpected(
                    "both texts, in lines",
                    format!("{found:?}"),
                ));
            }
        }
        Ok(())
    });
    suite.case("printing/groups", |t| {
        let expected = each(100, |item| {
            let rank = item % 40;
            format!("{rank} before\n{rank} between\ntrue for the subgroup\n")
        });
        t.prints(expected, |accelerator| {
            let grid = Grid::over(100).group(40);
            accelerator.launch(around_barriers, grid, ())?.wait()
        })
    });
    suite.case("printing/before_a_panic", |t| {
        let (heard, ended) = t.heard(|accelerator| accelerator.launch(panics, 8, ())?.wait())?;
        match ended {
            Err(Error::KernelPanicked { message, .. }) if message == "here" => {}
            other => return Err(Failure::unexpected("the panic", format!("{other:?}"))),
        }
        let found = heard.texts.get(&3).cloned().unwrap_or_default();
        if found[0] != "item 3 is there\nand leaves" {
            return Err(Failure::unexpected(
                "what the item printed",
                format!("{found:?}"),
            ));
        }
        Ok(())
    });
    suite.case("printing/all_or_counted", |t| {
        let (heard, ended) =
            t.heard(|accelerator| accelerator.launch(many, 100, (200,))?.wait())?;
        ended?;
        let lines: usize = heard
            .texts
            .values()
            .map(|text| text[0].lines().count())
            .sum();
        if lines as u64 + heard.lost != 20_000 {
            let found = format!("{lines} and {} lost", heard.lost);
            return Err(Failure::unexpected("20000 lines printed or lost", found));
        }
        let in_order = |text: &[String; 2]| {
            let numbers: Vec<usize> = text[0].lines().flat_map(str::parse).collect();
            numbers.is_sorted()
        };
        match heard.texts.values().all(in_order) {
            true => Ok(()),
            false => Err(Failure::unexpected("lines in order", "others")),
        }
    });
}
