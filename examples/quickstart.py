from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from jv_session_integrations.fastapi import CurrentConversation
from jv_session_mw import ConversationMiddleware, Message

app = FastAPI()
app.add_middleware(ConversationMiddleware)


async def model(messages: list[Message]) -> AsyncIterator[str]:
    for word in ("You ", "said: ", messages[-1]["content"]):
        yield word  # the client of your model goes here


@app.post("/chat")
async def chat(prompt: str, conversation: CurrentConversation) -> StreamingResponse:
    conversation.messages.append({"role": "user", "content": prompt})

    async def answer() -> AsyncIterator[str]:
        async with conversation.reply() as reply:  # kept and marked if the client hangs up
            async for token in model(conversation.messages):
                reply.write(token)
                yield token

    return StreamingResponse(answer(), media_type="text/plain")
