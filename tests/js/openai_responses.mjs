// `openai` for JavaScript: responses.

import { STEP, stopOf } from "./base.mjs";

export function params(ask) {
  return {
    model: ask.model,
    input: ask.turns.flatMap(items),
    max_output_tokens: ask.max_tokens,
    ...(ask.temperature !== null && { temperature: ask.temperature }),
    store: false,
    ...(ask.has_tool && { tools: [{ type: "function", name: "step", parameters: STEP, strict: false }] }),
    ...(ask.must_call && { tool_choice: "required" }),
    ...(ask.schema && { text: { format: { type: "json_schema", name: "answer", schema: ask.schema, strict: true } } }),
  };
}

export const create = (client, body, options) => client.responses.create(body, options);
export const open = (client, body, options) => client.responses.stream(body, options);
export const final = (stream, seen) => seen.final ?? stream.finalResponse();

export function count(event, seen) {
  seen.pieces += event.type === "response.output_text.delta" ? 1 : 0;
  seen.argument_pieces += event.type === "response.function_call_arguments.delta" ? 1 : 0;
  if (event.type === "response.incomplete" || event.type === "response.failed") seen.final = event.response;
}

export function read(answer) {
  if (answer.status === "failed") return { failed: { kind: "failed response", message: answer.error.message } };
  const calls = answer.output
    .filter((item) => item.type === "function_call")
    .map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) }));
  const texts = answer.output // `output_text` is missing in what a stream's event holds
    .filter((item) => item.type === "message")
    .flatMap((item) => item.content)
    .filter((part) => part.type === "output_text");
  return {
    text: texts.map((part) => part.text).join(""),
    calls,
    stop: calls.length ? "tool_use" : stopOf(answer.incomplete_details?.reason ?? answer.status),
    input_tokens: answer.usage?.input_tokens ?? 0,
    cached_tokens: answer.usage?.input_tokens_details?.cached_tokens ?? 0,
    output_tokens: answer.usage?.output_tokens ?? 0,
  };
}

function items(turn) {
  if (turn.by === "tool") return [{ type: "function_call_output", call_id: turn.call, output: turn.text ?? "" }];
  const calls = (turn.calls ?? []).map((call) => ({
    type: "function_call",
    call_id: call.id,
    name: call.name,
    arguments: JSON.stringify(call.arguments),
  }));
  if (!turn.text && !turn.images) return calls;
  const kind = turn.by === "model" ? "output_text" : "input_text";
  const images = (turn.images ?? []).map((url) => ({ type: "input_image", image_url: url, detail: "auto" }));
  const role = turn.by === "model" ? "assistant" : turn.by;
  return [{ role, content: [{ type: kind, text: turn.text ?? "" }, ...images] }, ...calls];
}
