// Asks for a test: each line of standard input is {dialect, url, key, headers, asks}, each of standard output a list of what came
// of them. The asks of one line go out at the same time. `node worker.mjs`; ends with its standard input.

import { createInterface } from "node:readline";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import * as messages from "./anthropic_messages.mjs";
import { said } from "./base.mjs";
import * as chat from "./openai_chat.mjs";
import * as completions from "./openai_completions.mjs";
import * as responses from "./openai_responses.mjs";

const dialects = { chat, completions, messages, responses };
const clients = new Map();

function clientOf({ dialect, url, key, headers }) {
  const name = `${dialect} ${url} ${key}`;
  if (!clients.has(name)) {
    const options = { apiKey: key, maxRetries: 0, defaultHeaders: headers };
    const made =
      dialect === "messages"
        ? new Anthropic({ ...options, baseURL: url })
        : new OpenAI({ ...options, baseURL: `${url}/v1` });
    clients.set(name, made);
  }
  return clients.get(name);
}

for await (const line of createInterface({ input: process.stdin })) {
  const wanted = JSON.parse(line);
  const client = clientOf(wanted);
  const answers = wanted.asks.map((ask) => said(dialects[wanted.dialect], client, ask));
  process.stdout.write(`${JSON.stringify(await Promise.all(answers))}\n`);
}
