"""API keys: what one may do (`grants`), how its secret looks (`tokens`), where keys come from.

They come from CORRAL_API_KEYS (`setting`) and from Redis (`managed`). `corral.api.auth` lets callers in.
"""
