//! `POST /v1/conversations`
fn main() -> std::process::ExitCode {
    functions::serve(functions::conversations::create::ENDPOINT, functions::conversations::create::route())
}
