//! Diagnostics as text for people.
//!
//! Takes what the driver found, gives one message a finding: what, the source line where the user's
//! own code gets there, the call chain, what to do instead. Reads source files where they are; a
//! file that isn't there costs its snippet and nothing else.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use legionella_abi::protocol::{Call, Diagnostic, Problem, Source, TargetSpec};

/// A remark on a kernel's code: what it says, at the innermost line of the kernel's own crate that it is
/// about, with the calls that lead there. `definition` is shown where no line is known.
pub fn remark(
    text: &str,
    kernel: &str,
    definition: Option<&Source>,
    chain: &[Call],
    styled: bool,
) -> String {
    let own = chain
        .iter()
        .rposition(|call| crate_of(&call.function) == crate_of(kernel))
        .and_then(|last| {
            chain[..=last]
                .iter()
                .rev()
                .find_map(|call| call.source.as_ref())
        });
    let excerpt = own.or(definition).and_then(Excerpt::of);
    let title = Level::INFO.with_name("remark").primary_title(text);
    let mut group = Group::with_title(title);
    if let Some(excerpt) = &excerpt {
        group = group.element(excerpt.snippet());
    }
    let leads_there = own.is_some() && chain.len() > 1;
    if leads_there || excerpt.is_none() && !chain.is_empty() {
        group = group.element(Level::NOTE.message(calls(chain)));
    }
    renderer(styled).render(&[group])
}

/// The crate of a path, such as `a::f` or `<a::T as b::U>::f`.
fn crate_of(path: &str) -> &str {
    let path = path.trim_start_matches(['<', '&', '*', '[', '(']);
    let end = path.find("::").unwrap_or(path.len());
    &path[..end]
}

fn renderer(styled: bool) -> Renderer {
    if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
}

/// All findings on one kernel.
pub fn refusal(
    kernel: &str,
    target: &TargetSpec,
    diagnostics: &[Diagnostic],
    styled: bool,
) -> String {
    let renderer = renderer(styled);
    let mut text = format!(
        "kernel `{kernel}` does {} that target `{}` cannot do\n",
        match diagnostics.len() {
            1 => "one thing".to_owned(),
            count => format!("{count} things"),
        },
        target.kind
    );
    for diagnostic in diagnostics {
        text.push('\n');
        text.push_str(&render(&renderer, diagnostic));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

fn render(renderer: &Renderer, diagnostic: &Diagnostic) -> String {
    let title = format!("{}: {}", kind(diagnostic.problem), diagnostic.what);
    let excerpt = diagnostic
        .chain
        .iter()
        .rev()
        .find_map(|call| Excerpt::of(call.source.as_ref()?));
    let mut group = Group::with_title(Level::ERROR.primary_title(title));
    if let Some(excerpt) = &excerpt {
        group = group.element(excerpt.snippet());
    }
    if !diagnostic.chain.is_empty() {
        group = group.element(Level::NOTE.message(chain(&diagnostic.chain, &diagnostic.what)));
    }
    if !diagnostic.advice.is_empty() {
        group = group.element(Level::HELP.message(&diagnostic.advice));
    }
    renderer.render(&[group])
}

fn kind(problem: Problem) -> &'static str {
    match problem {
        Problem::InlineAssembly => "inline assembly",
        Problem::ArchitectureIntrinsic => "an operation of one processor architecture",
        Problem::ForeignFunction => "a function from outside Rust",
        Problem::OperatingSystem => "a function that needs an operating system",
        Problem::MutableStatic => "a static that can change",
        Problem::ThreadLocal => "a thread-local variable",
        Problem::MissingBitcode => {
            "a function whose crate was compiled without Legionella's wrapper"
        }
        Problem::MissingOperation => "an operation that the machine doesn't have",
        Problem::Collective => "work-items wait for each other in a function of its own",
        Problem::Divergent => "work-items wait for others that never come",
        Problem::CodeGeneration => "code generation failed",
    }
}

/// The chain to a culprit, with one call a line.
fn chain(chain: &[Call], what: &str) -> String {
    format!("{}\n  {what}", calls(chain))
}

/// Calls, one a line, each followed by where it calls the next.
fn calls(chain: &[Call]) -> String {
    let mut text = String::from("reached by this chain of calls, from the kernel on");
    for call in chain {
        text.push_str("\n  ");
        text.push_str(&call.function);
        if let Some(source) = &call.source {
            text.push_str(&format!("\n    at {source}"));
        }
    }
    text
}

/// A line of a source file, and what in it is meant.
struct Excerpt {
    path: String,
    number: usize,
    line: String,
    span: Range<usize>,
}

impl Excerpt {
    fn of(source: &Source) -> Option<Excerpt> {
        let number = source.line as usize;
        let text = fs::read_to_string(locate(&source.file)?).ok()?;
        let line = text.lines().nth(number.checked_sub(1)?)?.to_owned();
        let span = word_at(&line, source.column as usize)?;
        Some(Excerpt {
            path: source.file.clone(),
            number,
            line,
            span,
        })
    }

    fn snippet(&self) -> Snippet<'_, Annotation<'_>> {
        Snippet::source(&self.line)
            .path(&self.path)
            .line_start(self.number)
            .annotation(AnnotationKind::Primary.span(self.span.clone()))
    }
}

/// The file of that name: as it is, or, since the compiler records paths relative to the
/// workspace, below a folder that holds the running program.
fn locate(file: &str) -> Option<PathBuf> {
    let path = Path::new(file);
    if path.is_file() {
        return Some(path.to_path_buf());
    }
    if path.is_absolute() {
        return None;
    }
    std::env::current_exe()
        .ok()?
        .ancestors()
        .map(|folder| folder.join(path))
        .find(|path| path.is_file())
}

/// What starts at a column, counted in characters from 1: a path, a call or a single character.
/// The whole line if the column is not known.
fn word_at(line: &str, column: usize) -> Option<Range<usize>> {
    let indent = line.len() - line.trim_start().len();
    let Some(column) = column.checked_sub(1) else {
        return Some(indent..line.trim_end().len());
    };
    let (start, first) = line.char_indices().nth(column)?;
    let len = line[start..]
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '!')))
        .unwrap_or(line.len() - start);
    Some(start..start + len.max(first.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &str, line: u32, column: u32) -> Option<Source> {
        Some(Source {
            file: file.into(),
            line,
            column,
        })
    }

    #[test]
    fn shows_the_users_line_the_chain_and_the_advice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("main.rs");
        fs::write(&path, "fn kernel() {\n    helper(1);\n}\n").unwrap();
        let path = path.to_str().unwrap();
        let diagnostic = Diagnostic {
            problem: Problem::OperatingSystem,
            what: "std::fs::read".into(),
            advice: "read the file on the host and pass a buffer".into(),
            chain: vec![
                Call {
                    function: "app::kernel".into(),
                    source: source(path, 2, 5),
                },
                Call {
                    function: "app::helper".into(),
                    source: source("/rustc/0123/library/std/src/fs.rs", 300, 9),
                },
            ],
        };
        let target = TargetSpec {
            kind: "cpu".into(),
            cpu: String::new(),
        };
        let text = refusal("app::kernel", &target, &[diagnostic], false);
        let expected = format!(
            "kernel `app::kernel` does one thing that target `cpu` cannot do

error: a function that needs an operating system: std::fs::read
 --> {path}:2:5
  |
2 |     helper(1);
  |     ^^^^^^
  |
  = note: reached by this chain of calls, from the kernel on
            app::kernel
              at {path}:2:5
            app::helper
              at /rustc/0123/library/std/src/fs.rs:300:9
            std::fs::read
  = help: read the file on the host and pass a buffer"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn sources_that_are_not_there_cost_only_the_snippet() {
        let diagnostic = Diagnostic {
            problem: Problem::InlineAssembly,
            what: "nop".into(),
            advice: String::new(),
            chain: vec![Call {
                function: "app::kernel".into(),
                source: source("no/such/file.rs", 7, 0),
            }],
        };
        let target = TargetSpec {
            kind: "nvptx".into(),
            cpu: String::new(),
        };
        let both = [diagnostic.clone(), diagnostic];
        let text = refusal("k", &target, &both, false);
        assert!(text.starts_with("kernel `k` does 2 things that target `nvptx` cannot do"));
        assert_eq!(text.matches("at no/such/file.rs:7").count(), 2);
    }

    #[test]
    fn remarks_show_the_innermost_line_of_the_kernels_crate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("main.rs");
        fs::write(&path, "fn kernel() {\n    for x in y {}\n}\n").unwrap();
        let path = path.to_str().unwrap();
        let call = |function: &str, source| Call {
            function: function.into(),
            source,
        };
        let chain = [
            call("app::kernel", source(path, 2, 9)),
            call(
                "<core::iter::Iter<u8>>::next",
                source("/rustc/0/iter.rs", 7, 1),
            ),
        ];
        let definition = source(path, 1, 0);
        let text = |chain: &[Call]| {
            remark(
                "not vectorized",
                "app::kernel",
                definition.as_ref(),
                chain,
                false,
            )
        };
        let expected = format!(
            "remark: not vectorized
 --> {path}:2:9
  |
2 |     for x in y {{}}
  |         ^
  |
  = note: reached by this chain of calls, from the kernel on
            app::kernel
              at {path}:2:9
            <core::iter::Iter<u8>>::next
              at /rustc/0/iter.rs:7:1"
        );
        assert_eq!(text(&chain), expected);
        // Of what is the project's own, the kernel as a whole is shown.
        let other = text(&chain[1..]);
        assert!(other.contains("1 | fn kernel() {") && !other.contains("iter.rs"));
    }

    #[test]
    fn words_are_found_in_lines_of_any_script() {
        assert_eq!(word_at("  a.b(c)", 3), Some(2..5));
        assert_eq!(word_at("é + x", 3), Some(3..4));
        assert_eq!(word_at("  whole line ", 0), Some(2..12));
        assert_eq!(word_at("short", 9), None);
    }
}
