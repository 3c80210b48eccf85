"""What crosses between services: events, questions and answers, typed. Plain data, no behaviour."""
