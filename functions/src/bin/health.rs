//! `GET /health`
fn main() -> std::process::ExitCode {
    functions::serve(functions::health::ENDPOINT, functions::health::route())
}
