//! `POST /v1/chat/{id}/stop`
fn main() -> std::process::ExitCode {
    functions::serve(functions::chat::stop::ENDPOINT, functions::chat::stop::route())
}
