// `@anthropic-ai/sdk`: messages.

import { STEP, stopOf } from "./base.mjs";

export function params(ask) {
  const system = ask.turns.filter((turn) => turn.by === "system").map((turn) => turn.text);
  return {
    model: ask.model,
    messages: messages(ask.turns.filter((turn) => turn.by !== "system")),
    max_tokens: ask.max_tokens,
    ...(ask.temperature !== null && { temperature: ask.temperature }),
    ...(system.length && { system: system.join("\n") }),
    ...(ask.has_tool && { tools: [{ name: "step", input_schema: STEP }] }),
    ...(ask.must_call && { tool_choice: { type: "any" } }),
    ...(ask.schema && { output_config: { format: { type: "json_schema", schema: ask.schema } } }),
  };
}

export const create = (client, body, options) => client.messages.create(body, options);
export const open = (client, body, options) => client.messages.stream(body, options);
export const final = (stream) => stream.finalMessage();

export function count(event, seen) {
  if (event.type !== "content_block_delta") return;
  seen.pieces += event.delta.type === "text_delta" ? 1 : 0;
  seen.argument_pieces += event.delta.type === "input_json_delta" ? 1 : 0;
}

export function read(answer) {
  const { usage } = answer;
  const cached = usage.cache_read_input_tokens ?? 0;
  const written = usage.cache_creation_input_tokens ?? 0;
  return {
    text: answer.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
    calls: answer.content
      .filter((block) => block.type === "tool_use")
      .map(({ id, name, input }) => ({ id, name, arguments: input })),
    stop: stopOf(answer.stop_reason),
    input_tokens: usage.input_tokens + cached + written,
    cached_tokens: cached,
    output_tokens: usage.output_tokens,
  };
}

function messages(turns) {
  const found = [];
  for (const turn of turns) {
    const role = turn.by === "model" ? "assistant" : "user";
    if (found.at(-1)?.role === role) found.at(-1).content.push(...blocks(turn));
    else found.push({ role, content: blocks(turn) });
  }
  return found;
}

function blocks(turn) {
  if (turn.by === "tool") return [{ type: "tool_result", tool_use_id: turn.call, content: turn.text ?? "" }];
  const text = turn.text ? [{ type: "text", text: turn.text }] : [];
  const calls = (turn.calls ?? []).map((call) => ({
    type: "tool_use",
    id: call.id,
    name: call.name,
    input: call.arguments,
  }));
  return [...text, ...(turn.images ?? []).map(image), ...calls];
}

function image(url) {
  if (!url.startsWith("data:")) return { type: "image", source: { type: "url", url } };
  const [media_type, data] = url.slice("data:".length).split(";base64,");
  return { type: "image", source: { type: "base64", media_type, data } };
}
