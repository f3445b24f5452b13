"""Which function draws which garment."""

from gravurekit.sample.coats import kostum, kurk, pardesu
from gravurekit.sample.ottoman import bindalli, cubbe, janissary, kaftan, salvar
from gravurekit.sample.western import abiye, dress, etek

BUILDERS = {
    "kaftan": kaftan,
    "bindalli": bindalli,
    "abiye": abiye,
    "yeniceri kiyafeti": janissary,
    "salvar": salvar,
    "cubbe": cubbe,
    "kostum": kostum,
    "pardesu": pardesu,
    "etek": etek,
    "kurk": kurk,
    "dress": dress,
}
