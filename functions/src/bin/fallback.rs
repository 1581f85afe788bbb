//! Preflights, 404 and 405: whatever no endpoint answers.
fn main() -> std::process::ExitCode {
    shared::runtime::serve("fallback", functions::fallback::router(), false)
}
