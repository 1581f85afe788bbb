//! `GET /v1/conversations/{id}`
fn main() -> std::process::ExitCode {
    functions::serve(functions::conversations::get::ENDPOINT, functions::conversations::get::route())
}
