//! `GET /v1/conversations`
fn main() -> std::process::ExitCode {
    functions::serve(functions::conversations::list::ENDPOINT, functions::conversations::list::route())
}
