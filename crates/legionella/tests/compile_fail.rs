//! What the types must reject. `TRYBUILD=overwrite` refreshes the expected messages.

#[test]
fn unsound_programs_do_not_compile() {
    let cases = trybuild::TestCases::new();
    // A program that compiles has all be compiled to the end, where some assertions are.
    cases.pass("tests/compile_pass/*.rs");
    cases.compile_fail("tests/compile_fail/*.rs");
}
