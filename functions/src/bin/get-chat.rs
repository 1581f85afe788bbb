//! `GET /v1/chat/{id}`
fn main() -> std::process::ExitCode {
    functions::serve(functions::chat::get::ENDPOINT, functions::chat::get::route())
}
