"""The simulator: an OpenAI-compatible provider whose behaviour the model's name scripts.

It answers the requests of test keys, and stands alone as a provider for anybody's tests.
"""
