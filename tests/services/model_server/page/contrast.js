() => {
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const over = (f, b) => [0,1,2].map((i) => f[i]*f[3] + b[i]*(1-f[3])).concat(1);
  const lum = (c) => { const l = c.slice(0,3).map((v) => { v/=255; return v <= .04045 ? v/12.92 : ((v+.055)/1.055)**2.4; }); return .2126*l[0]+.7152*l[1]+.0722*l[2]; };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode());) {
    if (!node.textContent.trim()) continue;
    const el = node.parentElement;
    if (!el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (el.closest(':disabled, [aria-disabled=true], noscript, option, .unseen')) continue;
    const chain = []; for (let e = el; e; e = e.parentElement) chain.push(e);
    let back = [255,255,255,1];
    for (const e of chain.reverse()) back = over(parse(getComputedStyle(e).backgroundColor), back);
    const style = getComputedStyle(el);
    const svg = el.namespaceURI.endsWith('svg');
    const fore = over(parse(svg ? style.fill : style.color), back);
    const [hi, lo] = [lum(fore), lum(back)].sort((a,b) => b-a);
    const ratio = (hi+.05)/(lo+.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.push([node.textContent.trim().slice(0,40), +ratio.toFixed(2), style.color, back.join()]);
  }
  return bad;
}
