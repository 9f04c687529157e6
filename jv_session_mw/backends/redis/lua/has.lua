-- KEYS: hash. ARGV: a tag. Answers {tag, 1 or 0}.
return {ARGV[1], redis.call('EXISTS', KEYS[1])}
