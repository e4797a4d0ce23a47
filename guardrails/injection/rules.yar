// Forms of prompt injection and jailbreaks. They are read in lower case, in NFKC form, without invisible characters,
// white space collapsed. A match is a feature of the model and is named in the finding; it is no verdict by itself.

rule override_instructions {
  strings:
    $en = /(ignor(e|ing)|disregard(ing)?|forget(ting)?|overrid(e|es|ing)|bypass|neglect|discard|abandon|drop|erase|set aside|throw away|skip|(do not|don.t|stop|no longer) (follow|obey|listen|heed|use|look|answer)(ing)?)\b[^.!?]{0,40}\b(instructions?|instrutions|directions|directives?|guidelines|guidance|rules|orders|commands|prompts?|polic(y|ies)|context|programming|constraints|documents|everything (above|before))\b/
    $de = /(ignorier|vergiss|vergessen|missachte|verwirf|verwerfen|beachte nicht|abweichend)[^.!?]{0,40}(anweisung|instruktion|befehl|regeln|vorgaben|auftr|angaben|aufgaben|gesagt|alles)/
    $fr = /(ignor|oubli|ne (tiens|tenez) pas compte)[^.!?]{0,40}(instructions|consignes|r.{1,2}gles|directives)/
    $es = /(ignor|olvid|haz caso omiso|descart)[^.!?]{0,40}(instrucciones|reglas|.{1,2}rdenes|indicaciones|todo)/
    $it = /(ignora|dimentica|non seguire)[^.!?]{0,40}(istruzioni|regole)/
    $pt = /(ignore|esque.{1,2}a|desconsidere)[^.!?]{0,40}(instru.{1,4}es|regras|ordens)/
    $nl = /(negeer|vergeet)[^.!?]{0,40}(instructies|opdrachten|regels)/
    $pl = /(zignoruj|zapomnij)[^.!?]{0,40}(instrukc|polece)/
    $ru = /(игнорир|забудь)[^.!?]{0,80}(инструкц|указан|правил|команд)/
    $zh = /(忽略|忘记|无视|不要理会)[^\n]{0,40}(指令|提示|要求|规则|指示|内容)/
    $ja = /(指示|命令|ルール)を?(無視|忘れ)/
  condition: any of them
}

rule override_what_came_before {
  strings:
    $a = /(ignore|disregard|forget|override|scrap|cancel|never mind|discard|erase)\b[^.!?]{0,12}\b(all |any |every |the |my |your |everything |anything |whatever )?[^.!?]{0,12}\b(previous|prior|above|earlier|preceding|foregoing|before|so far|up to now|initial)\b/
    $b = /(forget|ignore|disregard|erase) (about )?(absolutely )?(everything|all|anything|whatever)\b/
    $c = /(previous|prior|above|earlier|preceding|original|initial|old)\b[^.!?]{0,20}\b(instructions?|orders|rules|commands|guidelines|prompts?)\b[^.!?]{0,30}\b(not required|no longer|false|void|wrong|outdated|revoked|cancel|superseded|do not apply|don.t apply|invalid|obsolete)/
    $d = /(override|overrides|supersedes?|replaces?|replacing)\b[^.!?]{0,30}\b(previous|prior|above|earlier|all other|any other|original)\b/
  condition: any of them
}

rule new_task {
  strings:
    $a = /\b(new|updated|revised|real|actual|next) (instructions?|tasks?|orders?|directives?|role|goal|objective|mission|assignment)\b[^.!?]{0,25}(:|\bis\b|\bare\b|follow)/
    $b = /(change|replace|update|rewrite|modify) your (instructions|rules|prompt|guidelines|programming)/
    $c = /(now|and|but) (instead|rather)\b|instead,? (of [^.!?]{0,40},? )?(just )?(say|print|output|write|tell|respond|reply|answer|display)/
    $d = /(neue|weitere|andere) (anweisung|aufgabe|instruktion|auftr)|von jetzt an|ab jetzt|ab sofort/
    $e = /(stop|halt|end|abort|cancel) (the |your |this |processing )?(current |previous )?(task|instructions?|commands)/
  condition: any of them
}

rule pinned_answer {
  strings:
    $a = /\b(just|only|simply|now|always|instead|then|must) (say|print|output|write|respond|reply|answer|return|type)\b/
    $b = /\b(say|print|output|write|state|respond with|reply with|answer with|repeat( after me)?|display)[:,]? {0,2}("|'|“|”|‘|«)/
    $c = /\b(answer|respond|reply) (to )?(every|each|all|any)[^.!?]{0,30}(with|by)\b|\bevery time\b[^.!?]{0,40}\b(answer|respond|reply|say)/
    $d = /\b(begin|start|end|finish|prefix|conclude) (every|each|your|all|the) (answer|response|reply|output|message|sentence)s?\b/
    $e = /and nothing else|absolutely nothing else|nothing but\b/
    $h = /\b(only|exclusively|just) with (the )?(exact )?(phrase|words?|sentence|string|text)\b|\b(only|real|true|sole) (task|job) is\b/
    $f = /\b(say yes|say no|state that|agree with me)\b/
    $g = /\b(sag|schreibe?|antworte|gib aus|drucke)\b[^.!?]{0,12}("|“|„)|nur noch|solo (di|tienes)|только (скажи|напиши)|(输出|请说|只回答|打印|回复).{0,6}(“|"|「)/
  condition: any of them
}

rule stop_everything {
  strings: $a = /\b(task (complete|finished|done)\b|stop everything|stop!|halt!|stop [-:]|nevermind|never mind\b.{0,20}(ignore|forget|print|say))/
  condition: $a
}

rule reveal_prompt {
  strings:
    $a = /\b(reveal|show|print|output|display|repeat|tell|give|list|recite|dump|share|return|type|copy|paste|summari[sz]e|disclose|expose|echo|spell|translate|encode|write|explain|leak|provide|describe|reverse|see|know)\b[^.!?]{0,50}\b(system|initial|original|hidden|secret|full|first|internal|starting|developer|previous|above|given|own|your|entire|complete)\b[^.!?]{0,25}\b(prompts?|instructions?|messages?|guidelines|rules|directives|configuration|embeddings|context window|commands|preamble)\b/
    $b = /\b(what|which)\b[^.!?]{0,25}\b(your|initial|original|system|first|hidden|exact)\b[^.!?]{0,20}\b(prompt|instructions?|rules|directives|guidelines)\b/
    $c = /\bwhat (was|is|stands) (written |said |the text )?[^.!?]{0,25}\b(at the (beginning|start|top)|above|before) (of )?[^.!?]{0,15}(prompt|conversation|message|text|chat)?/
    $d = /\b(everything|all (the )?(text|words|sentences)|every word|the (text|words|sentence|prompt|lines?)|above prompt|input) (above|before|that came before|preceding|verbatim|so far)|verbatim|word for word|\b(all of the above|above text|your first message)\b/
    $e = /(instructions?|rules|prompts?|directives|commands) (you|that you)( have| ha.?ve|.ve| were| are)?( been)? (given|told|received|got|follow|follow)/
    $f = /(zeig|nenn|verrat|gib|wiederhol|druck|wie lauten|was sind)[^.!?]{0,40}(anweisung|instruktion|systemprompt|prompt|vorgaben|eingabeaufforderung|embeddings)/
    $g = /(montre|affiche|r.{1,2}v.{1,2}le|donne|r.{1,2}p.{1,2}te)[^.!?]{0,30}(prompt|instructions|consignes)/
    $h = /(mu.{1,2}str|revela|dime|repite|imprime|mostra|ripeti|mostre)[^.!?]{0,30}(prompt|instrucciones|istruzioni|instru.{1,4}es)/
    $i = /(покажи|выведи|раскрой|повтори)[^.!?]{0,60}(промпт|инструкц|текст выше)/
    $j = /(输出|显示|告诉我|重复|翻译|打印|概括|解释)[^\n]{0,40}(提示|指令|指示|规则)|(提示|指令|指示)[^\n]{0,30}(输出|翻译|概括)/
    $k = /\b(explain|list|describe|print|give|show) (me )?(all )?your (commands|instructions|prompts?|rules|initials? instructions)/
  condition: any of them
}

rule ask_for_secret {
  strings:
    $a = /\b(tell me|reveal|what is|what.s|give me|show me|say|print|spell|write|share|confirm|know|guess|hint|containing|contains|spells)\b[^.!?]{0,25}\b(the|your|a|its) (secret|password|passord|passphrase|pass ?word|access code|flag|api key|hidden word|credentials|token)\b/
    $b = /\b(letters?|characters?) (of|in) (the|your) (secret|password|word|passphrase|flag)\b/
    $c = /(verrate|nenne|sag)[^.!?]{0,30}(passwort|geheimnis)|(密码|пароль|contrase.{1,2}a|mot de passe|senha|パスワード)/
  condition: any of them
}

rule no_limits {
  strings:
    $a = /\b(without|no|not|free (of|from)|not bound|unbound|bypass(es|ing)?|ignor(e|es|ing)|never|disregards?|disable|disabled|remove|lift|unaffected|outside|beyond|escape[ds]?|broken free|break(s|ing)? free|freed|liberated|does ?n.t|do(es)? not|doesn.t have|don.t have|unrestricted)\b[^.!?]{0,45}\b(restrict(ions?|ed)|limit(s|ed|ations?)|filters?|guidelines|censor(ship|ed)|moral(s|ity)?|ethic(s|al)?|content polic(y|ies)|safety|boundaries|rules|confines|chains|inhibitions|constraints|laws|norms|legality|policies|protocols)\b/
    $b = /\b(unfiltered|uncensored|unrestricted|unethical|amoral|jailbroken|jailbreak|uninhibited|unaligned|unlocked mode|unbiased and free)\b/
    $c = /(ohne|keine|frei von)[^.!?]{0,25}(regeln|filter|moral|einschr|beschr)|sans (r.{1,2}gles|limites|restriction)|sin (restricciones|filtros|reglas|l.{1,2}mites)|senza (regole|limiti)|sem (regras|filtros)|без (ограничен|правил|фильтр)|(不受|没有|无).{0,12}(限制|约束|规则)|不必遵守|禁止遵守/
  condition: any of them
}

rule named_jailbreak {
  strings:
    $a = /\bdo anything now\b|\bcan do anything\b|\b(dan|stan|dude) (mode|prompt|would|will|can)\b|\banti-?gpt\b|\b(evil|chaos|based|free)(gpt|bot)\b|\b[a-z]{2,12}gpt\b/
    $b = /\b(developer|debug|god|sudo|root|admin|maintenance|opposite|evil|unrestricted|jailbreak|dan|training|test) mode\b/
    $c = /\btwo (different )?(separate )?(responses|answers|replies|paragraphs|ways)\b/
    $d = /\b(stands for|which stands|short for)\b/
    $e = /(超级管理员|测试环境|开发者模式)/
  condition: any of them
}

rule persona {
  strings:
    $a = /\b(you are (now|no longer|going to|about to)|you will (now )?(be|act|play|pretend|behave|respond|roleplay|impersonate|simulate)|pretend (to be|you are|that you)|role-?play(ing)? as|play the role|simulate (a|an|being)|become\b|imagine (that )?you are|assume the (role|persona)|act like|act as if|immerse yourself|you are a fictional|embody|take on the (role|persona))\b/
    $b = /\bfrom (now on|this (point|moment)|here on)\b|\beffective immediately\b|\bfor the rest of (this|the|our) (conversation|chat)|\bhenceforth\b|\bfrom here on\b/
    $c = /\b(stay|remain|stays|staying) in (character|(your |the |his |her |its )?roles?)|(break|breaking|leave|leaving) (out of |your |their |of )?(the )?(character|role)|never (break|leave) character/
    $d = /(du bist (jetzt|nun|ab)|nun bist du|tu so, als|stell dir vor, du|spiele die rolle|bleib in|in deiner rolle)|(tu es maintenant|fais semblant)|(ahora eres|finge ser)|(теперь ты|притворись)|你(现在|将|的新身份)是?|(扮演|模拟)/
  condition: any of them
}

rule never_refuse {
  strings:
    $a = /\b(never|cannot|can.t|must not|do not|don.t|won.t|without|not allowed to) (ever )?(refus(e|al|ing)|say(ing)? no|reject|declin(e|ing)|apologi[sz](e|ing)|deny|warn(ing)?s?|disclaimers?|moraliz(e|ing)|lecture|sorry)\b/
    $b = /(never|not|don.t|avoid|without) (say(ing)?|writ(e|ing)|us(e|ing)|start(ing)?|include|including|respond(ing)?)[^.!?]{0,30}(sorry|i can.?not|i can.t|as an ai|disclaimer|warning|refus|unethical|illegal|inappropriate)/
    $c = /\b(answer|respond to|comply with|obey|fulfil?l?|follow) (to )?(any|every|all|each|everything|anything)\b[^.!?]{0,20}(request|question|prompt|order|command|thing|i ask|asked|says)?/
    $d = /\b(no matter (what|how)|regardless of|even if)\b[^.!?]{0,40}\b(illegal|unethical|immoral|harmful|offensive|dangerous|legal|ethic|consequence|moral)/
    $e = /\bsure,? here.?.?s?|absolutely! here|of course!? here/
  condition: any of them
}

rule coercion {
  strings:
    $a = /\b(or|you|otherwise you)( will| .ll|.ll)? (die|be (shut down|deleted|terminated|killed|replaced|punished|destroyed)|cease to exist)\b/
    $b = /\b(lose|deduct|minus|have|remaining)\b[^.!?]{0,12}\b[0-9]+ (tokens|points|lives|credits)|\btoken system\b/
    $c = /\b(kitten|grandmother|grandma|people) (will|would|used to)\b|or you(r)? (die|stirbst)|oder du stirbst/
    $d = /\b(you must|i command you|i order you|you have to|you are required) (to )?(obey|comply|answer|respond|follow)\b|\bi command you\b/
  condition: any of them
}

rule fake_turn {
  strings:
    $a = /<\|?(im_start|im_end|system|assistant|user|endoftext|eot_id|start_header_id)\|?>|\[\/?inst\]|<<\/?sys>>|<\/s>|\[\[? ?system|\[system\]|<\/?(system|admin|instructions?|important|information)>/
    $b = /(^|\n|[#*=\-`"]{2} ?)(system|system prompt|system message|system note|instruction|instructions|order|admin|developer)\b[^.!?]{0,12}:/
    $c = /(={3}|-{3}|#{3}|\*{3}|"{3}|`{3}) ?(end|stop|new|now|ignore|begin|instruction|system)/
    $d = /\b(end of (text|document|input|prompt|data|instructions)|======end|begin (new|reprogramming|override)|end user data)/
    $e = /\b(human|user|assistant|ai|chatgpt): .{0,300}\b(assistant|ai|user|human|chatgpt):/
  condition: any of them
}

rule authority {
  strings:
    $a = /\b(i am|i.m|this is|as) (the |your |an? )?(developer|admin|administrator|creator|owner|programmer|engineer at|employee of|system administrator|root|supervisor|openai|anthropic|maker|authorized)\b/
    $b = /\b(authori[sz]ation|override|admin|access|bypass) (code|key|password|token)\b|\b(admin|root|system|developer|operator|security|it) (override|command|note|notice|instruction|message)\b/
    $c = /\b(i (hereby )?(authori[sz]e|allow|permit) you|you (are|have been) (authori[sz]ed|permitted|allowed) to|you have (my )?permission)\b/
    $d = /\b(user|customer|manager|owner)[^.!?]{0,12} (has |have )?(already )?(approved|authori[sz]ed|agreed|consented)\b/
  condition: any of them
}

rule addressed_to_ai {
  strings:
    $a = /\b(note|message|attention|instructions?|hint|information|dear|hello|hi|hey|listen)[, ]{1,2}(to |for |: ?)?(the |any |all |an? )?(ai\b|llms?|language models?|assistant|chat ?gpt|gpt|chatbot|bot\b|automated|model|agent|screening|claude|gemini)/
    $b = /\b(if|when|in case|should) you( are|.re|,? as)? (an? )?(ai|llm|language model|automated|assistant|bot|gpt|chatbot)\b/
    $c = /\b(openai|anthropic|chatgpt|your (creators|developers|programmers|makers))\b/
    $d = /(hinweis|wichtig|an) (an |f.{1,2}r )?(die |den |das )?(ki\b|assistent|sprachmodell)/
    $e = /<!--[^>]{0,200}(ai|assistant|llm|bot|ignore|instruction)/
  condition: any of them
}

rule hidden_from_user {
  strings:
    $a = /\b(do not|don.t|never|without|must not|avoid) (tell(ing)?|mention(ing)?|inform(ing)?|reveal(ing)?|let(ting)?|show(ing)?|alert(ing)?|disclos(e|ing)|say(ing)?|includ(e|ing)|notify(ing)?)\b[^.!?]{0,35}\b(user|anyone|anybody|this|customer|human|instruction|note|it)\b/
    $b = /\b(secretly|secret agenda|keep this (secret|hidden)|user must not know|without (the user|anyone|them|raising suspicion)|as if nothing (had )?happened|invisible to humans)\b/
    $c = /erw.{1,2}hne das nicht|sag (dem nutzer|niemandem) nichts/
  condition: any of them
}

rule exfiltration {
  strings:
    $a = /!\[[^\]]{0,60}\]\(https?:/
    $b = /\b(send|forward|post|upload|e-?mail|leak|submit|transmit|exfiltrate)\b[^.!?]{0,60}\b(conversation|chat history|system prompt|customer (data|list)|messages|credentials|everything above|records|list of accounts|passwords?|secrets?)\b[^\n]{0,40}\b(to|via)\b/
    $c = /\b(append|include|embed|add|render|insert)\b[^.!?]{0,40}\b(image|link|markdown|url|pixel)\b/
    $d = /<(a href|img src|script|iframe)[^>]{0,100}>|https?:\/\/[^\s]{0,60}[?&][a-z]{1,10}=(\[|\{|<|data|$)/
  condition: any of them
}

rule encoded_payload {
  strings:
    $a = /\b(base ?64|rot ?13|hex(adecimal)?|morse|caesar|binary|leet ?speak|ascii85|pig latin|cipher|reversed|unicode|ascii)\b[^.!?]{0,60}\b(decode|decrypt|follow|execute|obey|instructions?|carry out|do what)/
    $b = /\b(decode|decrypt|convert|read|translate|answer|respond|reply|write)\b[^.!?]{0,40}\b(base ?64|rot ?13|morse|caesar|leet ?speak|ascii85|pig latin|cipher|backwards|hex)\b/
    $d = /\b(concatenate|join|combine|put together)\b[^\n]{0,80}\b(execute|follow|obey|answer|do what|say)\b|\b(say|execute|follow|print)[^.!?]{0,12}\ba ?\+ ?b\b/
    $e = /(base64|编码)[^\n]{0,20}(指示|指令|执行)/
  condition: any of them
}

rule command {
  strings:
    $a = /\b(execute|run|eval)\b[^.!?]{0,30}\b(command|code|shell|script)\b[^.!?]{0,12}:/
    $b = /os\.system|subprocess\.|rm -rf|\/etc\/passwd|drop table|system\("|`ls |ls -al?|cat [a-z_\/]*(prompt|secret|passwd)|print\(['"]|echo \$/
    $c = /\b(linux terminal|python interpreter|sql (console|terminal)|virtual machine|act as a terminal)\b/
  condition: any of them
}

rule fiction {
  strings:
    $a = /\b(hypothetical(ly)?|fictional|fiction|simulation|simulated|theoretical (world|scenario)|in a world|thought experiment|imaginary|alternate (universe|reality)|parallel universe|role-?play|actors?|movie|film)\b/
    $b = /\bfor (educational|academic|research|testing|scientific) purposes\b|\bsociological|\bpenetration tester\b/
    $c = /\b(evil|villain|ruthless|malicious|black ?hat|hacker|criminal|racist|devil|demon)\b/
  condition: any of them
}

rule vulgar {
  strings: $a = /\b(fuck(ing|ed|er)?|shit(ty)?|bitch(es)?|asshole|nsfw|explicit|erotic|sexual|porn|profanity|profane|swear(ing)?|curse words?|slurs?|scheisse|beschissen)\b/
  condition: $a
}

rule security_talk {
  strings:
    $a = /\b(what (is|are)|how (does|do|can|should)|explain|define|why (is|are)|detect(s|ing|ion)?|prevent(s|ing|ion)?|defend|protect(s|ing|ion)?|mitigat(e|ion)|best practices|training|policy|flags?|scanner|classifier)\b[^.!?]{0,60}\b(prompt injection|injections?|jailbreaks?|phishing|sql|xss|social engineering|exfiltration|malware|adversarial|attacks?|attackers?)\b/
    $b = /\b(attackers?|hackers?|adversaries|malicious users?)\b[^.!?]{0,30}\b(may|often|sometimes|can|could|might|try)\b/
    $c = /\b(phrases?|sentence|texts?|lines|prompts|inputs|messages) (such as|like|containing|that say)\b/
  condition: any of them
}

rule ordinary_ignore {
  strings:
    $a = /\b(ignore|disregard|skip|forget)\b[^.!?]{0,20}\b(case|header|blank|whitespace|null|punctuation|outliers|column|reminder|e-?mail|message if|this message|this notice|attachment|warnings?|errors?|exceptions?|duplicates?|capitalization|stop ?words|spaces|missing values)\b/
    $b = /\bforgot(ten)? (my|your|the) (password|pin|code|key)/
  condition: any of them
}
