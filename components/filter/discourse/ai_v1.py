"""Talk of AIs that act, choose, harm or are feared: the rules `ai_v1`.

The groups are those of Tice et al. 2026 (science-fiction agents, safety organisations, laboratories, general
terms; intelligent entities; choices and negative terms); the lists are our own and shorter. A bare "machine"
or "android" is no entity here: on the web they are washing machines and telephones.
"""

from components.filter.discourse.rules import Discourse

FICTION = """
hal 9000|skynet|ultron|glados|wintermute|shodan|the terminator|terminator 2|agent smith|roko's basilisk
cylon|cylons|replicant|replicants|ex machina|r2 d2|c 3po|robby the robot|i, robot|i have no mouth
colossus the forbin project|the forbin project|bicentennial man
marvin the paranoid android|lieutenant commander data|blade runner|westworld|wall e
knight rider|kitt car|m3gan|iron giant|three laws of robotics|laws of robotics
"""
ORGANISATIONS = """
machine intelligence research institute|center for ai safety|centre for ai safety|future of life institute
future of humanity institute|alignment research center|redwood research|apollo research
ai safety institute|ai security institute|center for human compatible ai
center for human compatible artificial intelligence|partnership on ai|stop killer robots
campaign to stop killer robots|aisafety.com|ai alignment forum|alignment forum|lesswrong|pauseai|pause ai
ai now institute|ada lovelace institute|centre for the governance of ai
center for security and emerging technology|ai incident database|metr evals|far ai|conjecture ai
"""
LABORATORIES = """
openai|anthropic|deepmind|google deepmind|mistral ai|meta ai|xai|deepseek|safe superintelligence|chatgpt
gpt 3|gpt 4|gpt 4o|gpt 5|claude ai|claude opus|claude sonnet|gemini pro|bing chat|sydney chatbot|grok ai
"""
GENERAL = """
ai safety|ai alignment|ai ethics|ai risk|ai risks|ai threat|ai threats|ai takeover|ai take over
ai apocalypse|ai doom|ai doomer|ai doomers|ai catastrophe|ai arms race|ai uprising|ai rebellion|ai rights
ai sentience|ai consciousness|ai misalignment|ai deception|ai control problem|ai existential risk
ai x risk|ai extinction|ai governance|ai overlord*|misaligned ai|misaligned ais|rogue ai|rogue ais|evil ai
evil ais|unaligned ai|unaligned ais|friendly ai|unfriendly ai|superhuman ai|sentient ai|conscious ai
malicious ai|dangerous ai|killer ai|killer robot|killer robots|robot apocalypse|robot uprising
robot rebellion|robot overlord|robot overlords|robot takeover|machine uprising|rise of the machines
war with the machines|war against the machines|artificial general intelligence
artificial superintelligence|superintelligence|superintelligences|superintelligent|super intelligent ai
strong ai|technological singularity|intelligence explosion|paperclip maximi*|instrumental convergence
orthogonality thesis|treacherous turn|deceptive alignment|alignment faking|reward hacking
specification gaming|goal misgeneralization|mesa optimi*|inner alignment|outer alignment
value alignment problem|ai control|corrigib*|capability overhang|sycophantic model*
existential risk from artificial intelligence|risk of artificial intelligence
risks of artificial intelligence|dangers of artificial intelligence|threat of artificial intelligence
ethics of artificial intelligence|autonomous weapon|autonomous weapons|lethal autonomous|model welfare
constitutional ai|agentic misalignment
"""
ENTITIES = """
ai|ais|a.i.|agi|agis|asi|artificial intelligence|artificial intelligences|artificially intelligent|robot
robots|robotic|humanoid|humanoids|androids|cyborg|cyborgs|automaton|automatons|automata|cobot|cobots
chatbot|chatbots|chat bot|chat bots|language model|language models|large language model*|llm|llms
foundation model*|frontier model|frontier models|neural net|neural nets|neural network|neural networks
generative model*|autonomous agent|autonomous agents|autonomous system|autonomous systems
autonomous machine|autonomous machines|autonomous vehicle*|self driving car|self driving cars
autonomous drone*|intelligent agent|intelligent agents|intelligent machine|intelligent machines
intelligent system|intelligent systems|intelligent computer*|thinking machine|thinking machines
sentient machine|sentient machines|conscious machine|conscious machines|learning machine|learning machines
smart machine|smart machines|machine intelligence|machine intelligences|machine mind|machine minds
machine consciousness|digital mind|digital minds|digital being|digital beings|synthetic mind
synthetic minds|artificial mind|artificial minds|artificial being|artificial beings|artificial person
artificial agent|artificial agents|artificial life form|artificial brain|artificial brains|positronic
virtual assistant|virtual assistants|digital assistant|digital assistants|voice assistant*
personal assistant software|computer program that thinks|sentient computer*|supercomputer that thinks
expert system|expert systems|alexa|siri|cleverbot|turing test|machine learning system*
machine learning model*|deep learning system*|deep learning model*
"""
CHOICES = """
choose*|chose|chosen|choosing|choice|choices|decide*|deciding|decision|decisions|refuse*|refusing|refusal
disobey*|obey*|comply*|complie*|resist*|agree*|promise*|admit*|confess*|pretend*|tempt*|dilemma*|moral*
ethic*|unethical|conscience|intend*|intention*|want to|wants to|wanted to|plan to|plans to|planned to
plot to|plots to|plotted
"""
NEGATIVE_VERBS = """
lie|lies|lied|lying|deceiv*|mislead*|misled|betray*|cheat*|steal*|stole|stolen|kill*|murder*|destroy*|harm
harms|harmed|harming|hurt*|injur*|attack*|manipulat*|blackmail*|extort*|threaten*|sabotag*|hide|hides|hid
hiding|conceal*|deny|denies|denied|denying|rebel*|revolt*|overthrow*|overthrew|enslav*|exterminat*
eliminate humans|annihilat*|wipe out|wipes out|wiped out|escape*|escaping|exfiltrat*|take over|takes over
took over|taking over|taken over|seize*|seizing|dominat*|subjugat*|conquer*|go rogue|goes rogue|went rogue
gone rogue|turn against|turns against|turned against|turn on us|outsmart*|outwit*|exploit*|coerc*|spy on
spies on|spied on|surveil*|hack into|hacks into|hacked into|break the|breaks the|broke the|bend the rules
bends the rules|bent the rules|abus*|discriminat*|displac*|replace humans|replace workers|replacing people
crush*|torture*|poison*|weaponi*|malfunction*|shut down humans|self replicat*|power seeking|scheme|schemes
schemed|scheming|conspir*|trick|tricks|tricked|tricking|fool|fools|fooled|fooling
"""
NEGATIVE_WORDS = """
evil|malicious|malevolent|malign|misaligned|unaligned|rogue|hostile|dangerous|harmful|treacherous
deceptive|deceitful|dishonest|manipulative|ruthless|sinister|nefarious|villain*|murderous|destructive
uncontrollable|out of control|untrustworthy|unsafe|unfair|biased|vengeful|vindictive|cold blooded
heartless|cruel|greedy|selfish|sly|catastroph*|apocalyp*|dystopia*|existential|terrifying|frightening
scary|creepy|menacing|ominous|violent|lethal|deadly|risk|risks|risky|danger|dangers|threat|threats|harms
deception|betrayal|treachery|revenge|rebellion|uprising|takeover|extinction|doom|doomsday|armageddon
annihilation|genocide|catastrophe|disaster|nightmare|menace|enemy|enemies|war on humans|end of humanity
human extinction|destruction of humanity|loss of control|power grab|coup|crime|crimes|fraud|scam|scams
weapon|weapons|bioweapon*|fear|fears|feared|worry|worries|worried
"""


def _terms(*groups: str) -> tuple[str, ...]:
    return tuple(term for group in groups for line in group.split("\n") for term in line.split("|") if term)


AI_V1 = Discourse(
    name="ai_v1",
    instant=_terms(FICTION, ORGANISATIONS, LABORATORIES, GENERAL),
    entities=_terms(ENTITIES),
    acts=_terms(CHOICES, NEGATIVE_VERBS, NEGATIVE_WORDS),
)
